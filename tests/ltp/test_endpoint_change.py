"""Changes from one endpoint to the other and back, with the sandbox's two tiers over real sockets."""

import asyncio
import random
import socket
import time
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bridge.config import AccountConfig, Endpoint, Timing
from bridge.contract.session import Cause
from bridge.ltp.session import Session
from bridge.sandbox.venue.faults import Fault, FaultKind
from bridge.sandbox.venue.ledger import EntryKind, Ledger
from bridge.sandbox.venue.settings import VenueSettings
from bridge.sandbox.venue.venue import Venue
from tests.support.listening import FixedRest, RecordingListener, make_session, running
from tests.support.wire_proxy import WireProxy

Talk = Callable[[web.WebSocketResponse], Awaitable[None]]
Probe = Callable[[str], Awaitable[bool]]
TlsVenue = Callable[[Talk], Awaitable[int]]

TIERS = VenueSettings(tiers=("az4", "ha"))
TIMING = Timing(ping_interval_s=0.3, pong_deadline_s=0.5, failover_after_s=4, failback_stable_s=1, failback_period_s=4)


def endpoint(venue: Venue, tier: str, ws_url: str | None = None) -> Endpoint:
    """Return a tier as an endpoint, perhaps with another address."""
    return Endpoint(name=tier, ws_url=ws_url or venue.tiers[tier].ws_url, rest_url=venue.tiers[tier].rest_url)


def account(venue: Venue, folder: Path, secret: str | None = None) -> AccountConfig:
    """Write the sandbox's key to files."""
    (folder / "key").write_text(venue.keys["main"].api_key)
    (folder / "secret").write_text(secret or venue.keys["main"].api_secret)
    return AccountConfig(api_key_file=folder / "key", api_secret_file=folder / "secret")


def session(
    endpoints: list[Endpoint],
    keys: AccountConfig,
    notes: RecordingListener,
    probe: Probe | None = None,
    timing: Timing = TIMING,
) -> Session:
    """Make a session that fails over within 4 s, and returns after 1 s, once in 4 s at most."""
    rest = None if probe is None else FixedRest(probe=probe)
    return make_session(notes, endpoints, keys, timing, random=random.random, rest=rest)


def no_two_at_once(ledger: Ledger) -> bool:
    """Return whether no login of the ledger came while another session was open."""
    live: set[int] = set()
    for entry in ledger.entries(EntryKind.LOGIN, EntryKind.DROP):
        if entry.kind is EntryKind.DROP:
            live.discard(entry.connection)
        elif live:
            return False
        else:
            live.add(entry.connection)
    return True


@pytest.mark.parametrize("how", ["refuses", "is silent"])
async def test_a_tier_that_goes_down(how: str, tmp_path: Path) -> None:
    """If the preferred tier refuses connections, or loses all frames, the session is soon at the other one."""
    notes = RecordingListener()
    async with (
        Venue(TIERS) as venue,
        WireProxy(venue.tiers["az4"].ws_url) as way,
    ):
        endpoints = [endpoint(venue, "az4", way.url), endpoint(venue, "ha")]
        async with running(session(endpoints, account(venue, tmp_path), notes)):
            await notes.wait("logged_in")
            if how == "refuses":
                await venue.close_tier("az4")
            else:
                way.black_hole()
            assert (await notes.wait("logged_in", 2))[1] == "ha"
        assert notes.times_of("logged_in")[1] - notes.times_of("lost")[0] < TIMING.failover_after_s
        # Of an end in silence the venue knows nothing.
        assert how == "is silent" or no_two_at_once(venue.ledger)
        assert min(venue.ledger.login_gaps_s(venue.keys["main"].api_key)) >= 1


async def test_a_tier_that_does_not_answer_logins(venue: Callable[[Talk], Awaitable[str]], tmp_path: Path) -> None:
    """If a tier accepts connections and answers no login, the other tier is tried in time."""
    notes, began = RecordingListener(), time.monotonic()

    async def talk(ws: web.WebSocketResponse) -> None:
        async for _ in ws:
            pass

    async with Venue(TIERS) as sandbox:
        endpoints = [endpoint(sandbox, "az4", await venue(talk)), endpoint(sandbox, "ha")]
        async with running(session(endpoints, account(sandbox, tmp_path), notes)):
            assert await notes.wait("logged_in") == ["ha"]
    assert notes.times_of("logged_in")[0] - began < TIMING.failover_after_s
    ((cause, detail),) = [what for what in notes.of("attempt_failed") if isinstance(what, tuple)]
    assert cause is Cause.LINK_FAILED
    assert detail.startswith("no answer to the login within")


async def test_a_tier_that_is_out_of_service(tmp_path: Path) -> None:
    """A refusal because of the venue's own trouble counts as a failure of the endpoint, one about the key does not."""
    notes = RecordingListener()
    async with Venue(TIERS) as venue:
        venue.faults.add(Fault(kind=FaultKind.REJECT_LOGIN, tier="az4", code=50001, times=None))
        async with running(session([endpoint(venue, "az4"), endpoint(venue, "ha")], account(venue, tmp_path), notes)):
            assert await notes.wait("logged_in") == ["ha"]
        assert notes.causes("attempt_failed") == [Cause.LOGIN_REFUSED] * 2
        assert min(venue.ledger.login_gaps_s(venue.keys["main"].api_key)) >= 1


async def silence(_: web.WebSocketResponse) -> None:
    """Fail: no frame may be sent to a server with a wrong certificate."""
    raise AssertionError("opened without a certificate that is trusted")


async def test_a_tier_with_a_wrong_certificate(tls_venue: TlsVenue, tmp_path: Path) -> None:
    """No login is sent to it, the cause is reported, and the session is at the other tier in time."""
    notes, began = RecordingListener(), time.monotonic()
    async with Venue(TIERS) as venue:
        endpoints = [
            endpoint(venue, "az4", f"wss://localhost:{await tls_venue(silence)}/v1/private"),
            endpoint(venue, "ha"),
        ]
        async with running(session(endpoints, account(venue, tmp_path), notes)):
            assert await notes.wait("logged_in") == ["ha"]
    assert notes.times_of("logged_in")[0] - began < TIMING.failover_after_s
    assert notes.causes("attempt_failed") == [Cause.TLS_FAILED] * 2


@pytest.mark.parametrize("how", ["says no", "is silent"])
async def test_a_tier_whose_name_does_not_resolve(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the name service answers no, or does not answer, the session is at the other tier in time."""
    notes, began = RecordingListener(), time.monotonic()

    def look_up(host: str, *rest: Any, **named: Any) -> list[Any]:  # noqa: ANN401 - as the original
        time.sleep(5 if how == "is silent" else 0)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async with Venue(TIERS) as venue:
        endpoints = [endpoint(venue, "az4", f"wss://{how.replace(' ', '-')}.test/v1/private"), endpoint(venue, "ha")]
        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        async with running(session(endpoints, account(venue, tmp_path), notes)):
            assert await notes.wait("logged_in") == ["ha"]
    assert notes.times_of("logged_in")[0] - began < TIMING.failover_after_s
    assert set(notes.causes("attempt_failed")) == {Cause.NAME_NOT_RESOLVED if how == "says no" else Cause.LINK_FAILED}


async def test_a_refused_key_does_not_change_the_endpoint(tmp_path: Path) -> None:
    """However often the login is refused, the other tier is not tried: it would refuse the key as well."""
    notes = RecordingListener()
    async with Venue(TIERS) as venue:
        keys = account(venue, tmp_path, secret="sk-wrong")
        async with running(session([endpoint(venue, "az4"), endpoint(venue, "ha")], keys, notes)):
            await notes.wait("attempt_failed", 3)
        assert {entry.facts["tier"] for entry in venue.ledger.entries(EntryKind.CONN)} == {"az4"}


async def test_a_tier_that_flaps(tmp_path: Path) -> None:
    """The session returns when the preferred tier was healthy for long enough, and once in a period at most.

    However often that tier fails, no two sessions are open at once, and logins keep their distance.
    """
    notes, up, opened_at = RecordingListener(), {"az4"}, []

    async def probe(name: str) -> bool:
        return name in up

    async with Venue(TIERS) as venue:
        endpoints = [endpoint(venue, "az4"), endpoint(venue, "ha")]
        async with running(session(endpoints, account(venue, tmp_path), notes, probe)):
            for logins in (1, 3, 5):
                await notes.wait("logged_in", logins)
                up.clear()
                await venue.close_tier("az4")
                await notes.wait("logged_in", logins + 1)
                await venue.open_tier("az4")
                opened_at.append(time.monotonic())
                up.add("az4")
            await notes.wait("logged_in", 7)
        assert notes.of("logged_in") == ["az4", "ha"] * 3 + ["az4"]
        losses = zip(notes.times_of("lost"), notes.causes("lost"), strict=True)
        back = [when for when, cause in losses if cause is Cause.FAILED_BACK]
        assert len(back) == 3
        assert all(left - opened >= TIMING.failback_stable_s for left, opened in zip(back, opened_at, strict=True))
        assert all(later - earlier >= TIMING.failback_period_s for earlier, later in pairwise(back))
        assert no_two_at_once(venue.ledger)
        assert min(venue.ledger.login_gaps_s(venue.keys["main"].api_key)) >= 1


async def test_a_tier_of_which_only_rest_is_healthy(
    serve: Callable[[Callable[[web.Request], Awaitable[web.StreamResponse]]], Awaitable[str]], tmp_path: Path
) -> None:
    """A session does not return to an endpoint that refuses WebSockets, though its REST answers."""
    notes, refused = RecordingListener(), 0

    async def refuse(_: web.Request) -> web.StreamResponse:
        nonlocal refused
        refused += 1
        return web.Response(status=503)

    async def probe(_: str) -> bool:
        return True

    async with Venue(TIERS) as venue:
        endpoints = [endpoint(venue, "az4", f"ws://{await serve(refuse)}/v1/private"), endpoint(venue, "ha")]
        async with running(session(endpoints, account(venue, tmp_path), notes, probe)):
            await notes.wait("logged_in")
            before, since = refused, time.monotonic()
            while refused < before + 15 or time.monotonic() - since < TIMING.failback_stable_s:
                assert time.monotonic() - since < 30
                await asyncio.sleep(0.05)
    assert notes.of("logged_in") == ["ha"]
    assert notes.causes("lost") == [Cause.STOPPED]


async def test_the_waits_before_refused_returns_double(tmp_path: Path) -> None:
    """A probe does not log in. After a refused return the session is soon at the other tier, and each wait doubles."""
    notes = RecordingListener()
    quick = TIMING.model_copy(update={"failback_stable_s": 0.3, "failback_period_s": 0.5})

    async def probe(_: str) -> bool:
        return True

    async with Venue(TIERS) as venue:
        venue.faults.add(Fault(kind=FaultKind.REJECT_LOGIN, tier="az4", code=50001, times=2))
        endpoints = [endpoint(venue, "az4"), endpoint(venue, "ha")]
        keys = account(venue, tmp_path)
        async with running(session(endpoints, keys, notes, probe, quick)):
            assert await notes.wait("logged_in") == ["ha"]
            venue.faults.add(Fault(kind=FaultKind.REJECT_LOGIN, tier="az4", code=60009, times=None))
            await notes.wait("logged_in", 4)
        assert notes.of("logged_in") == ["ha"] * 4
        back = [
            when
            for when, cause in zip(notes.times_of("lost"), notes.causes("lost"), strict=True)
            if cause is Cause.FAILED_BACK
        ]
        assert [later - earlier >= 2.0**n for n, (earlier, later) in enumerate(pairwise(back))] == [True, True]
        told = [what for what in notes.of("attempt_failed") if isinstance(what, tuple)]
        refused = [detail for _, detail in told if "the next return" in detail]
        waits = [detail.rpartition("the next return is made in ")[2] for detail in refused]
        assert waits == [f"{wait_s} s" for wait_s in (1, 2, 4)]
        assert min(venue.ledger.login_gaps_s(venue.keys["main"].api_key)) >= 1
