"""The whole bridge between two endpoints: to the other when one is lost, and back when it has been well."""

from collections.abc import AsyncIterator, MutableMapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest_asyncio
import structlog

from bridge.config import Settings, Timing
from bridge.contract.topics import Stream
from bridge.sandbox.venue.ledger import EntryKind
from bridge.sandbox.venue.settings import VenueSettings
from bridge.sandbox.venue.venue import Venue
from tests.recovery.told import published_twice, read_all, untrue
from tests.support.rig import PLACE, Rig, Topic, command
from tests.support.truth import lies
from tests.witness.waiting import until

FAILOVER_S = Timing().failover_after_s
STABLE_S, PERIOD_S, RETURNS = 3.0, 15.0, 2
MARKET = {"sym": "BINANCE_PERP_BTC_USDT", "side": "BUY", "orderType": "MARKET", "orderQty": "0.01"}


@pytest_asyncio.fixture(loop_scope="session")
async def tiers(bootstrap: str, tmp_path: Path) -> AsyncIterator[Rig]:
    """Return a rig whose venue has two tiers."""
    venue_settings = VenueSettings(tiers=("az4", "ha"), step_period_s=0.05)
    async with Venue(venue_settings) as venue, Rig(bootstrap, venue, tmp_path) as built:
        yield built


def _settings(rig: Rig, **timing: float) -> Settings:
    ends = [{"name": one.name, "ws_url": one.ws_url, "rest_url": one.rest_url} for one in rig.venue.tiers.values()]
    return rig.settings(endpoints=ends, timing=Timing(rest_lag_s=1, **timing))


class Desk:
    """Sends places, and knows what it has sent."""

    def __init__(self, rig: Rig, results: Topic) -> None:
        self.sent: dict[int, dict[str, Any]] = {}
        self._rig = rig
        self._results = results

    async def place(self) -> dict[str, Any]:
        """Send a place, without waiting for its answer."""
        one = command("place_order", PLACE, valid_s=60)
        (offset,) = await self._rig.send(one)
        self.sent[offset] = one
        return one

    async def answered(self) -> None:
        """Wait until everything has been accepted."""
        for one in self.sent.values():
            assert (await self._results.result(one, 60))["outcome"] == "accepted"


def _of(session: Topic, kind: str) -> list[dict[str, Any]]:
    return [value for value in session.values if value["type"] == kind]


async def _opened(session: Topic, *endpoints: str) -> None:
    """Wait for the sessions that are opened from the beginning, and that each has been recovered."""
    await session.until(lambda _: len(_of(session, "recovery.complete")) >= len(endpoints), 60)
    assert tuple(one["endpoint"] for one in _of(session, "session.opened")) == endpoints


async def _gaps_closed(session: Topic) -> None:
    def closed(_: list[Any]) -> bool:
        return {one["gapId"] for one in _of(session, "gap.opened")} == {
            one["gapId"] for one in _of(session, "gap.closed")
        }

    await session.until(closed, 60)


def _logins(rig: Rig) -> list[str]:
    """Return the tiers at which the venue accepted a login, in order."""
    tier_of = {entry.connection: entry.facts["tier"] for entry in rig.venue.ledger.entries(EntryKind.CONN)}
    return [tier_of[one.connection] for one in rig.venue.ledger.entries(EntryKind.LOGIN) if not one.facts["code"]]


def _two_at_once(rig: Rig) -> list[int]:
    """Return the connections that logged in while another one was."""
    live: set[int] = set()
    found = []
    for entry in rig.venue.ledger.entries(EntryKind.LOGIN, EntryKind.DROP):
        if entry.kind is EntryKind.DROP:
            live.discard(entry.connection)
        elif not entry.facts["code"]:
            found += [entry.connection] * bool(live)
            live.add(entry.connection)
    return found


def _probes(rig: Rig) -> int:
    """Return how often the preferred endpoint was asked by REST."""
    return sum(entry.facts["tier"] == "az4" for entry in rig.venue.ledger.entries(EntryKind.REST))


async def _trade_and_lose(rig: Rig) -> None:
    """Take the preferred tier down; what is traded right after its cut is pushed to nobody."""
    assert rig.venue.cut_connections(tier="az4") == 1
    for _ in range(3):
        rig.venue.inject.foreign_action("main", "place_order", MARKET)
    await rig.venue.close_tier("az4")


async def test_a_lost_endpoint_costs_less_than_ten_seconds_and_nothing_else(tiers: Rig) -> None:
    """The session is on the other endpoint in time, the gap is closed, and what was traded in it is recovered."""
    async with tiers.daemon(_settings(tiers)):
        session, results = await tiers.topic(Stream.SESSION), await tiers.topic(Stream.RESULTS)
        topics = await read_all(tiers)
        desk = Desk(tiers, results)
        await _opened(session, "az4")
        await desk.place()
        await desk.answered()
        await _trade_and_lose(tiers)
        await desk.place()
        await _opened(session, "az4", "ha")
        await desk.answered()
        await _gaps_closed(session)
        await topics[Stream.TRADES].until(lambda _: untrue(tiers, topics) == [])
    (lost,) = [one for one in _of(session, "session.lost") if one["cause"] != "stopped"]
    assert 0 < _of(session, "session.opened")[1]["at"] - lost["at"] < FAILOVER_S * 1000
    trades = topics[Stream.TRADES]
    recovered = [trades.headers(number).get("ce_recovered") for number in range(len(trades.records))]
    assert recovered == [b"true"] * 3
    assert published_twice(trades) == 0
    # The first start's gap may still be open on a slow machine: then they fell into both.
    assert sum(one["recovered"]["trades"] for one in _of(session, "gap.closed")) == 3
    assert lies(tiers, results, desk.sent) == []


async def test_a_flapping_endpoint_is_returned_to_once_in_a_period(tiers: Rig) -> None:
    """While it comes and goes the session stays away, and goes back when it was well for long enough, and not sooner.

    Whatever happens, no two sockets are logged in at once, and every place reaches the venue once, and is answered.
    """
    settings = _settings(tiers, failback_stable_s=STABLE_S, failback_period_s=PERIOD_S)
    with structlog.testing.capture_logs() as logs:
        async with tiers.daemon(settings):
            session, results = await tiers.topic(Stream.SESSION), await tiers.topic(Stream.RESULTS)
            topics = await read_all(tiers)
            desk, expected = Desk(tiers, results), ["az4"]
            await _opened(session, *expected)
            for _ in range(RETURNS):
                await _trade_and_lose(tiers)
                expected += ["ha"]
                await _opened(session, *expected)
                await _flap(tiers, desk, logs)
                assert _logins(tiers) == expected
                await tiers.venue.open_tier("az4")
                expected += ["az4"]
                await _opened(session, *expected)
            await desk.answered()
            await _gaps_closed(session)
            await topics[Stream.TRADES].until(lambda _: untrue(tiers, topics) == [])
    assert _logins(tiers) == expected
    assert _two_at_once(tiers) == []
    back = [one["at"] for one in _of(session, "session.lost") if one["cause"] == "failed_back"]
    assert len(back) == RETURNS
    assert all(later - earlier >= PERIOD_S * 1000 for earlier, later in pairwise(back))
    names = [frame["args"]["clientOrderId"] for frame in tiers.written("place_order")]
    assert len(set(names)) == len(names) == len(desk.sent)
    assert lies(tiers, results, desk.sent) == []


async def _flap(rig: Rig, desk: Desk, logs: list[MutableMapping[str, Any]]) -> None:
    """Let the preferred endpoint be seen well, and then away again; orders are placed all the while."""

    def failed() -> int:
        return sum(line["event"] == "rest.probe_failed" for line in logs)

    seen = _probes(rig)
    await rig.venue.open_tier("az4")
    await desk.place()
    await until(lambda: _probes(rig) > seen)
    missed = failed()
    await rig.venue.close_tier("az4")
    await desk.place()
    await until(lambda: failed() > missed)
