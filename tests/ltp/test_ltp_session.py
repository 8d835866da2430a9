"""Sessions against small venues over real sockets."""

import asyncio
import base64
import contextlib
import hashlib
import json
import logging
import re
import ssl
import time
from collections.abc import Awaitable, Callable
from itertools import pairwise
from math import inf
from pathlib import Path

import pytest
from aiohttp import WSMessage, WSMsgType, web

from bridge.config import AccountConfig, Endpoint, Timing
from bridge.contract.session import Cause
from bridge.core.now import Now
from bridge.core.records import InvalidFrame, Push, Received
from bridge.errors import LoginRefused, VenueUnreachable
from bridge.ltp.login_refusals import KeyCheck
from bridge.ltp.session import Session
from bridge.ltp.signing import login_signature
from tests.support.listening import FixedRest, RecordingListener, make_session, running

Talk = Callable[[web.WebSocketResponse], Awaitable[None]]
Venue = Callable[[Talk], Awaitable[str]]
Start = Callable[[str], Session]

ACCEPTED = '{"id":null,"event":"login","code":0,"msg":"","data":null}'
TLS = Path(__file__).parent / "tls"
PUSH = '{"channel":"Orders","data":{"n":1}}'


@pytest.fixture
def notes() -> RecordingListener:
    """Return the listener of `start`."""
    return RecordingListener()


@pytest.fixture
def start(account: AccountConfig, timing: Timing, notes: RecordingListener) -> Start:
    """Return a function that makes a session for a URL; its jitter draws half of the ceiling."""

    def make(url: str) -> Session:
        return make_session(notes, [Endpoint(name="T", ws_url=url, rest_url="http://localhost")], account, timing)

    return make


async def read_on(ws: web.WebSocketResponse) -> list[WSMessage]:
    """Read until the other side ends."""
    return [message async for message in ws]


async def accept(ws: web.WebSocketResponse) -> None:
    """Accept a login, push one order, and read on."""
    await ws.receive()
    await ws.send_str(ACCEPTED)
    await ws.send_str(PUSH)
    await read_on(ws)


async def test_login_and_pushes(venue: Venue, start: Start, notes: RecordingListener, clock: Callable[[], Now]) -> None:
    """The login is signed with the time, and the frames after it reach the listener in order."""
    logins: list[WSMessage] = []

    async def talk(ws: web.WebSocketResponse) -> None:
        logins.append(await ws.receive())
        await ws.send_str(ACCEPTED)
        await ws.send_str(PUSH)
        await ws.send_str("?")
        await read_on(ws)

    session = start(await venue(talk))
    assert (session.logged_in, session.last_frame_boot_s) == (False, -inf)
    async with running(session):
        push, odd = await notes.wait("received", 2)
        assert session.logged_in
        assert session.ready_to_write(clock())
        assert abs(session.last_frame_boot_s - clock().boot_s) < 5
        now = clock()
        assert [session.login_due(now._replace(boot_s=now.boot_s + later_s)) for later_s in (0, 60)] == [False, True]
    assert isinstance(push, Push)
    assert push.data == b'{"n":1}'
    assert isinstance(odd, InvalidFrame)
    assert notes.events[0] == ("logged_in", "T")
    args = json.loads(logins[0].data)["args"]
    assert abs(int(args["timestamp"]) - time.time()) < 5
    assert args["sign"] == login_signature("sk-test-secret", int(args["timestamp"]))


async def test_each_loss_is_reported_once_and_repaired(
    venue: Venue, start: Start, notes: RecordingListener, timing: Timing
) -> None:
    """The session comes back by itself, each login with a new timestamp, spaced from the last answer."""
    seen: list[tuple[float, str]] = []

    async def talk(ws: web.WebSocketResponse) -> None:
        login = json.loads((await ws.receive()).data)
        seen.append((time.monotonic(), login["args"]["timestamp"]))
        await ws.send_str(ACCEPTED)
        await ws.close(code=1012)

    async with running(start(await venue(talk))):
        await notes.wait("logged_in", 4)
    assert len(notes.of("lost")) == len(notes.of("logged_in"))
    assert notes.of("lost")[0] == (Cause.CLOSED_BY_VENUE, "the venue closed the connection with code 1012")
    gaps = [after - before for (before, _), (after, _) in pairwise(seen)]
    assert min(gaps) >= timing.login_spacing_s
    assert all(one != next_one for (_, one), (_, next_one) in pairwise(seen))


async def test_a_loss_is_reported_without_secrets(venue: Venue, start: Start, notes: RecordingListener) -> None:
    """The venue's reason for closing may quote key and secret: they are masked."""

    async def talk(ws: web.WebSocketResponse) -> None:
        await ws.receive()
        await ws.send_str(ACCEPTED)
        await ws.close(code=1008, message=b"ak-test used sk-test-secret")

    async with running(start(await venue(talk))):
        await notes.wait("lost", 1)
    assert notes.of("lost")[0] == (
        Cause.CLOSED_BY_VENUE,
        "the venue closed the connection with code 1008 *** used ***",
    )


async def test_an_echoed_login_is_passed_on_without_secrets(
    venue: Venue, start: Start, notes: RecordingListener
) -> None:
    """Invalid frames are published whole: the key in an echoed login is masked."""

    async def talk(ws: web.WebSocketResponse) -> None:
        login = (await ws.receive()).data
        for frame in (login, ACCEPTED, f"GET {login}"):
            await ws.send_str(frame)
        await read_on(ws)

    async with running(start(await venue(talk))):
        received = await notes.wait("received", 2)
    for event in received:
        assert isinstance(event, InvalidFrame)
        assert b'"apiKey":"***"' in event.frame
        assert b'"sign":"***"' in event.frame


def checking(session: Session, check: KeyCheck) -> Session:
    """Let REST give this answer about the key of a session."""
    session._rest = FixedRest(check)
    return session


async def test_a_key_that_rest_refuses_too_stops_the_session(
    venue: Venue, start: Start, notes: RecordingListener
) -> None:
    """After three refusals in a row and some time the error gives advice, without key and secret."""

    async def talk(ws: web.WebSocketResponse) -> None:
        await ws.receive()
        await ws.send_str('{"event":"error","code":"60009","msg":"Login failed for ak-test with sk-test-secret"}')
        await read_on(ws)

    session = checking(start(await venue(talk)), KeyCheck.REFUSED)
    with pytest.raises(LoginRefused) as caught:
        await asyncio.wait_for(session.run(), 20)
    assert caught.value.code == 60009
    assert "check that key and secret belong together" in str(caught.value)
    assert len(notes.of("attempt_failed")) >= 3
    told = f"{caught.value!r} {caught.value} {notes.events}"
    assert "ak-test" not in told
    assert "sk-test-secret" not in told


@pytest.mark.parametrize("check", [KeyCheck.ACCEPTED, KeyCheck.INCONCLUSIVE])
@pytest.mark.parametrize("code", [60009, 601009, 601010, 601016, 4000, 100429, 123456])
async def test_a_refusal_that_rest_does_not_confirm_is_tried_again(
    venue: Venue, start: Start, notes: RecordingListener, code: int, check: KeyCheck
) -> None:
    """This holds for every code and any number of refusals: a login service in trouble refuses every key."""
    refusals = iter(range(4))

    async def talk(ws: web.WebSocketResponse) -> None:
        await ws.receive()
        if next(refusals, None) is None:
            await ws.send_str(ACCEPTED)
        else:
            await ws.send_str(json.dumps({"event": "login", "code": code, "msg": "no"}))
        await read_on(ws)

    async with running(checking(start(await venue(talk)), check)):
        await notes.wait("logged_in")
    assert len(notes.of("attempt_failed")) == 4
    if code == 601016:
        assert "check this machine's clock" in str(notes.of("attempt_failed")[0])


async def test_a_success_forgets_earlier_refusals(
    venue: Venue, start: Start, notes: RecordingListener, timing: Timing
) -> None:
    """Only refusals in a row end the session."""
    answers = iter([60009, 60009, 0, 60009, 60009, 0])
    object.__setattr__(timing, "login_give_up_s", 0.001)

    async def talk(ws: web.WebSocketResponse) -> None:
        await ws.receive()
        await ws.send_str(json.dumps({"event": "login", "code": next(answers, 0), "msg": ""}))

    async with running(checking(start(await venue(talk)), KeyCheck.REFUSED)):
        await notes.wait("logged_in", 2)


async def test_another_key_in_the_file_is_tried_at_once(
    venue: Venue, start: Start, notes: RecordingListener, account: AccountConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rotated secret does not wait for the next login, which may be a minute away."""
    monkeypatch.setattr("bridge.ltp.login_refusals.WAIT_FIRST_S", 1e6)
    monkeypatch.setattr("bridge.ltp.login_refusals.WAIT_LAST_S", 1e6)

    async def talk(ws: web.WebSocketResponse) -> None:
        key = json.loads((await ws.receive()).data)["args"]["apiKey"]
        await ws.send_str(ACCEPTED if key == "ak-new" else '{"event":"login","code":60009,"msg":""}')
        await read_on(ws)

    session = start(await venue(talk))
    async with running(session):
        await notes.wait("attempt_failed")
        account.api_key_file.write_text("ak-new")
        await notes.wait("logged_in")
        waiting = asyncio.create_task(session.wait_for_new_key())
        account.api_key_file.write_text("ak-newer")
        await asyncio.wait_for(waiting, 20)


async def test_a_refused_handshake_is_not_repeated_before_its_time(
    serve: Callable[[Callable[[web.Request], Awaitable[web.StreamResponse]]], Awaitable[str]],
    start: Start,
    notes: RecordingListener,
) -> None:
    """After HTTP 429 with Retry-After the next connection comes after that time; the attempt is reported as refused."""
    asked: list[float] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(time.monotonic())
        if len(asked) == 1:
            return web.Response(status=429, headers={"Retry-After": "2"})
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        await accept(ws)
        return ws

    async with running(start(f"ws://{await serve(answer)}/v1/private")):
        await notes.wait("logged_in")
    assert notes.causes("attempt_failed") == [Cause.LOGIN_REFUSED]
    assert "HTTP 429; no further attempt there for 2 s" in str(notes.of("attempt_failed"))
    assert asked[1] - asked[0] >= 2


async def test_drop_ends_it_now(venue: Venue, start: Start, notes: RecordingListener, clock: Callable[[], Now]) -> None:
    """After a drop nothing of that session is written or reported but its end, and the next session begins."""

    async def talk(ws: web.WebSocketResponse) -> None:
        await ws.receive()
        await ws.send_str(ACCEPTED)
        while not ws.closed:
            await ws.send_str(PUSH)
            await asyncio.sleep(0)

    session = start(await venue(talk))
    async with running(session):
        await notes.wait("received")
        session.drop(Cause.BUFFER_FULL, "too much")
        told = len(notes.events)
        assert not session.logged_in
        assert not session.ready_to_write(clock())
        with pytest.raises(VenueUnreachable):
            session.send(b"{}")
        await notes.wait("logged_in", 2)
        assert notes.events[told] == ("lost", (Cause.BUFFER_FULL, "too much"))
        assert notes.events[told + 1][0] == "logged_in"


async def test_a_drop_while_connecting(venue: Venue, start: Start, notes: RecordingListener) -> None:
    """No login is sent on a connection that opens after the drop; the next attempt logs in."""
    opened = asyncio.Event()
    logins: list[WSMessage] = []

    async def talk(ws: web.WebSocketResponse) -> None:
        opened.set()
        message = await ws.receive()
        if message.type is WSMsgType.TEXT:
            logins.append(message)
            await ws.send_str(ACCEPTED)
            await read_on(ws)

    session = start(await venue(talk))
    async with running(session):
        while not notes.events:
            session.drop(Cause.OWNER_CHANGED, "another owner")
            await asyncio.sleep(0)
        assert notes.events == [("attempt_failed", (Cause.OWNER_CHANGED, "another owner"))]
        await notes.wait("logged_in")
    assert opened.is_set()
    assert len(logins) == 1


async def test_a_stable_session_makes_the_next_attempt_quick(
    venue: Venue, start: Start, notes: RecordingListener, timing: Timing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait doubles with each failure, but not after a stable session."""
    object.__setattr__(timing, "reconnect_cap_s", 30.0)
    monkeypatch.setattr("bridge.ltp.session.BACKOFF_BASE_S", 0.04)
    monkeypatch.setattr("bridge.ltp.session.STABLE_S", 0.0)

    async def talk(ws: web.WebSocketResponse) -> None:
        await ws.receive()
        await ws.send_str(ACCEPTED)

    begun = time.monotonic()
    async with running(start(await venue(talk))):
        await notes.wait("logged_in", 10)  # doubling ten times would take 10 s
    assert time.monotonic() - begun < 5


async def test_a_listener_that_raises_ends_the_run(
    venue: Venue, start: Start, notes: RecordingListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception of the listener leaves `run`."""

    def fail(event: Received, now: Now) -> None:
        raise RuntimeError("a mistake")

    monkeypatch.setattr(notes, "received", fail)
    session = start(await venue(accept))
    with pytest.raises(RuntimeError, match="a mistake"):
        await asyncio.wait_for(session.run(), 5)
    assert not session.logged_in


async def test_a_venue_without_pongs_is_left(
    venue: Venue, start: Start, notes: RecordingListener, timing: Timing
) -> None:
    """Other frames do not replace a missing pong."""
    object.__setattr__(timing, "ping_interval_s", 0.1)
    object.__setattr__(timing, "pong_deadline_s", 0.1)

    async def talk(ws: web.WebSocketResponse) -> None:
        await ws.receive()
        await ws.send_str(ACCEPTED)
        while not ws.closed:
            await ws.send_str(PUSH)
            await asyncio.sleep(0.02)

    async with running(start(await venue(talk))):
        assert (await notes.wait("lost"))[0] == (Cause.PONG_OVERDUE, "no pong within 0.1 s")


@pytest.mark.parametrize("binary", [False, True])
async def test_a_venue_that_knows_only_text_pings(
    venue: Venue, start: Start, notes: RecordingListener, timing: Timing, *, binary: bool
) -> None:
    """The bare word is sent when JSON got no answer, and the pong may be a binary frame."""
    object.__setattr__(timing, "ping_interval_s", 0.1)
    object.__setattr__(timing, "pong_deadline_s", 0.3)
    pongs = asyncio.Semaphore(0)

    async def talk(ws: web.WebSocketResponse) -> None:
        await ws.receive()
        await ws.send_str(ACCEPTED)
        async for message in ws:
            if message.type is WSMsgType.TEXT and message.data == "ping":
                await (ws.send_bytes(b"pong") if binary else ws.send_str("PONG"))
                pongs.release()

    async with running(start(await venue(talk))), asyncio.timeout(30):
        for _ in range(5):
            await pongs.acquire()
        assert notes.of("lost") == []


async def test_what_is_sent_is_one_text_frame(venue: Venue, start: Start, notes: RecordingListener) -> None:
    """Without a session nothing is sent; with one the venue gets a text frame."""
    got: asyncio.Queue[WSMessage] = asyncio.Queue()

    async def talk(ws: web.WebSocketResponse) -> None:
        await ws.receive()
        await ws.send_str(ACCEPTED)
        async for message in ws:
            got.put_nowait(message)

    session = start(await venue(talk))
    with pytest.raises(VenueUnreachable):
        session.send(b"{}")
    async with running(session):
        await notes.wait("logged_in")
        session.send(b'{"id":"1"}')
        message = await asyncio.wait_for(got.get(), 5)
    assert (message.type, message.data) == (WSMsgType.TEXT, '{"id":"1"}')


async def test_a_stop_is_reported_once(venue: Venue, start: Start, notes: RecordingListener) -> None:
    """A cancelled session is reported as lost, once."""
    async with running(start(await venue(accept))):
        await notes.wait("received")
    assert notes.of("lost") == [(Cause.STOPPED, "the session was stopped")]


async def test_an_unreadable_key_file_is_reported_and_read_again(
    venue: Venue, start: Start, notes: RecordingListener, account: AccountConfig
) -> None:
    """A secret that is being replaced does not end the session."""
    held = account.api_key_file.read_text()
    account.api_key_file.unlink()
    async with running(start(await venue(accept))):
        assert "api_key_file: the file that it names does not exist" in str((await notes.wait("attempt_failed"))[0])
        account.api_key_file.write_text(held)
        await notes.wait("logged_in")


async def test_no_log_of_any_library_holds_the_login(
    venue: Venue, start: Start, notes: RecordingListener, caplog: pytest.LogCaptureFixture
) -> None:
    """With every logger at DEBUG, neither key nor secret nor signature is logged."""
    logins: list[str] = []

    async def talk(ws: web.WebSocketResponse) -> None:
        logins.append((await ws.receive()).data)
        await ws.send_str(ACCEPTED)

    loop = asyncio.get_running_loop()
    caplog.set_level(logging.DEBUG)
    loop.set_debug(True)
    try:
        async with running(start(await venue(talk))):
            await notes.wait("lost")
    finally:
        loop.set_debug(False)
    for secret in ("ak-test", "sk-test-secret", json.loads(logins[0])["args"]["sign"]):
        assert secret not in caplog.text


async def test_a_ping_right_before_the_end_is_a_lost_link(
    trusted: None, account: AccountConfig, timing: Timing, clock: Callable[[], Now], notes: RecordingListener
) -> None:
    """The venue sends a ping and closes at once, as in a deploy: no pong can be sent, and the session comes back."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        key = re.search(rb"(?i)sec-websocket-key: (\S+)", request)
        assert key is not None
        proof = base64.b64encode(hashlib.sha1(key[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())  # noqa: S324
        writer.write(b"HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
        writer.write(b"Sec-WebSocket-Accept: " + proof + b"\r\n\r\n")
        await reader.read(4096)
        writer.write(bytes([0x81, len(ACCEPTED)]) + ACCEPTED.encode())
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.write(bytes([0x89, 2]) + b"hb")
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(TLS / "localhost.pem", TLS / "localhost.key")
    server = await asyncio.start_server(talk, "localhost", 0, ssl=tls)
    url = f"wss://localhost:{server.sockets[0].getsockname()[1]}/v1/private"
    session = make_session(notes, [Endpoint(name="T", ws_url=url, rest_url="https://localhost")], account, timing)
    async with running(session):
        await notes.wait("lost", 5)
    assert set(notes.causes("lost")[:5]) == {Cause.LINK_FAILED}
    server.close()
    await server.wait_closed()


async def test_a_mistake_is_the_cause_of_the_end(
    venue: Venue, start: Start, notes: RecordingListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If an exception of the bridge ends a session, the end has that cause."""

    def fail(event: Received, now: Now) -> None:
        raise RuntimeError("a mistake")

    monkeypatch.setattr(notes, "received", fail)
    with pytest.raises(RuntimeError, match="a mistake"):
        await asyncio.wait_for(start(await venue(accept)).run(), 5)
    assert notes.of("lost") == [(Cause.BRIDGE_FAILED, "a mistake: RuntimeError")]
