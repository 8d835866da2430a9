"""Sessions on links that lose, split or flood frames, and venues that end every session at once."""

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest
from aiohttp import WSMessage, WSMsgType, web

from bridge.account_parts import clock
from bridge.config import AccountConfig, Endpoint, Timing
from bridge.contract.session import Cause
from bridge.core.now import Now
from bridge.core.records import InvalidFrame, Received
from bridge.core.skew import ClockReading
from bridge.ltp.connection import FRAME_BYTES_MAX
from bridge.ltp.link import FRAMES_PER_READING
from bridge.ltp.session import Session
from tests.support.listening import RecordingListener, make_session, real_time, running
from tests.support.raw_venue import PING, frame, log_in, raw_venue
from tests.support.wire_proxy import Direction, WireProxy
from tests.witness.waiting import until

Talk = Callable[[web.WebSocketResponse], Awaitable[None]]
Venue = Callable[[Talk], Awaitable[str]]
Start = Callable[[str], Session]

ACCEPTED = '{"id":null,"event":"login","code":0,"msg":"","data":null}'
PUSH = '{"channel":"Orders","data":{"n":1}}'
HOUR_MS = 3_600_000


@pytest.fixture
def notes() -> RecordingListener:
    """Return the listener of `start`."""
    return RecordingListener()


@pytest.fixture
def start(account: AccountConfig, timing: Timing, notes: RecordingListener, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Return a function that makes a session for a URL; jitter draws the longest waits."""
    monkeypatch.setattr("bridge.ltp.session.BACKOFF_BASE_S", 0.1)
    monkeypatch.setattr("bridge.ltp.login_refusals.WAIT_LAST_S", 5.0)
    timing = timing.model_copy(update={"ping_interval_s": 0.2, "pong_deadline_s": 1.0, "reconnect_cap_s": 5.0})

    def make(url: str) -> Session:
        return make_session(
            notes, [Endpoint(name="T", ws_url=url, rest_url="http://localhost")], account, timing, random=lambda: 1.0
        )

    return make


async def lively(ws: web.WebSocketResponse) -> None:
    """Accept a login, answer pings, and push all the time."""
    await ws.receive()
    await ws.send_str(ACCEPTED)

    async def push() -> None:
        while not ws.closed:
            await ws.send_str(PUSH)
            await asyncio.sleep(0.02)

    pushing = asyncio.create_task(push())
    async for message in ws:
        if message.type is WSMsgType.TEXT and "ping" in message.data:
            await ws.send_str(json.dumps({"pong": time.time_ns() // 1_000_000}))
    await asyncio.gather(pushing, return_exceptions=True)


@pytest.mark.parametrize("lost", [("up", "down"), ("up",), ("down",)])
async def test_a_link_that_loses_frames_in_silence(
    venue: Venue, start: Start, notes: RecordingListener, lost: tuple[Direction, ...]
) -> None:
    """If either direction loses frames, the missing pong ends the session, though pushes may still arrive."""
    async with WireProxy(await venue(lively)) as way, running(start(way.url)):
        await notes.wait("clock_read")
        assert notes.of("lost") == []
        way.black_hole(*lost)
        assert (await notes.wait("lost"))[0] == (Cause.PONG_OVERDUE, "no pong within 1 s")


async def test_frames_that_come_byte_by_byte(venue: Venue, start: Start, notes: RecordingListener) -> None:
    """Handshake, login, pushes and pongs arrive whole, however the network splits them."""
    async with WireProxy(await venue(lively)) as way:
        way.slice()
        async with running(start(way.url)):
            await notes.wait("received", 10)
            await notes.wait("clock_read", 2)
    assert {getattr(push, "data", None) for push in notes.of("received")} == {b'{"n":1}'}
    assert notes.causes("lost") == [Cause.STOPPED]


async def accept_and_leave(ws: web.WebSocketResponse) -> None:
    """Accept every login, and close."""
    await ws.send_str(ACCEPTED)


async def overfill(ws: web.WebSocketResponse) -> None:
    """Accept every login, and send a frame above the limit."""
    await ws.send_str(ACCEPTED)
    await ws.send_bytes(bytes(FRAME_BYTES_MAX + 1))
    await ws.receive()


def refuse(code: int) -> Talk:
    """Return a venue that refuses every login with this code."""

    async def talk(ws: web.WebSocketResponse) -> None:
        await ws.send_str(json.dumps({"event": "login", "code": code, "msg": "no"}))

    return talk


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (accept_and_leave, Cause.CLOSED_BY_VENUE),
        (overfill, Cause.PROTOCOL_ERROR),
        (refuse(601010), Cause.LOGIN_REFUSED),
        (refuse(601016), Cause.LOGIN_REFUSED),
        (refuse(7000), Cause.LOGIN_REFUSED),
    ],
)
async def test_the_waits_between_failures_double(
    venue: Venue, start: Start, notes: RecordingListener, *, answer: Talk, cause: Cause
) -> None:
    """The waits between attempts double; an accepted login resets them only after a stable session."""
    logins: list[float] = []

    async def talk(ws: web.WebSocketResponse) -> None:
        await ws.receive()
        logins.append(time.monotonic())
        await answer(ws)

    kind = "attempt_failed" if cause is Cause.LOGIN_REFUSED else "lost"
    async with running(start(await venue(talk))):
        await notes.wait(kind, 5)
    waits = [later - earlier for earlier, later in pairwise(logins)]
    assert all(wait >= least for wait, least in zip(waits, (0.1, 0.2, 0.4, 0.8), strict=False))
    assert set(notes.causes(kind)[:5]) == {cause}


async def test_a_pong_measures_the_clocks(venue: Venue, start: Start, notes: RecordingListener) -> None:
    """The venue's time in a pong gives the difference of the clocks, and a later refusal of a login states it."""
    answers = iter([ACCEPTED])

    async def talk(ws: web.WebSocketResponse) -> None:
        await ws.receive()
        await ws.send_str(next(answers, '{"event":"login","code":2000,"msg":"no"}'))
        ping: WSMessage = await ws.receive()
        if ping.type is WSMsgType.TEXT:
            await ws.send_str(json.dumps({"pong": time.time_ns() // 1_000_000 - HOUR_MS}))

    async with running(start(await venue(talk))):
        told = await notes.wait("attempt_failed")
    assert re.search(r"this machine's clock is 3600\.\d to 36\d\d\.\d s ahead of the venue's", str(told))
    (reading,) = notes.of("clock_read")
    assert isinstance(reading, ClockReading)
    skew = reading.skew(clock())
    assert skew.low_ms <= HOUR_MS <= skew.high_ms


async def test_other_tasks_run_during_a_flood_of_small_frames(
    start: Start, notes: RecordingListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One read of the socket may bring thousands of frames; other tasks run between the turns."""
    monkeypatch.setattr("bridge.ltp.link.TURN_S", 0.0)
    turns, turn_of = 0, []
    take = notes.received

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await log_in(reader, writer)
        writer.write(frame(b"{}") * 20_000)
        await reader.read()

    def received(event: Received, now: Now) -> None:
        turn_of.append(turns)
        take(event, now)

    notes.received = received  # type: ignore[method-assign] # it notes the turn as well
    async with raw_venue(flood) as url, running(start(url)) as session:
        while len(turn_of) < 20_000 and not session.done():
            turns += 1
            await asyncio.sleep(0)
    assert max(Counter(turn_of).values()) == FRAMES_PER_READING


async def test_a_frame_behind_a_ping_of_the_venue_has_its_own_time(start: Start, notes: RecordingListener) -> None:
    """A ping that came with a frame is no frame: what comes later is not taken in as of then."""
    times: list[float] = []
    take, may_go_on = notes.received, asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await log_in(reader, writer)
        writer.write(frame(b"{}") + frame(b"", PING))
        await may_go_on.wait()
        writer.write(frame(b"{}"))
        await reader.read()

    def received(event: Received, now: Now) -> None:
        times.append(now.boot_s)
        take(event, now)

    notes.received = received  # type: ignore[method-assign] # it notes the time as well
    async with raw_venue(talk) as url, running(start(url)):
        await until(lambda: len(times) == 1)
        later_boot_s = await _read_after(0.05)
        may_go_on.set()
        await until(lambda: len(times) == 2)
    assert times[1] >= later_boot_s


async def _read_after(seconds: float) -> float:
    """Return the time of the session's clock a moment later."""
    begun = real_time().boot_s
    await until(lambda: real_time().boot_s > begun + seconds)
    return real_time().boot_s


async def test_a_link_reads_nothing_while_there_is_no_room(start: Start, notes: RecordingListener) -> None:
    """The venue's frames wait in its sockets meanwhile, and none is lost; a drop does not wait for room."""
    is_full, asked = True, 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await log_in(reader, writer)
        for number in range(2_000):
            writer.write(frame(b'{"n":%d}' % number))
            await writer.drain()
        await reader.read()

    async def wait_for_room() -> bool:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)
        return is_full

    notes.wait_for_room = wait_for_room  # type: ignore[method-assign] # as a publisher whose buffer is full
    async with raw_venue(flood) as url, running(start(url)) as session:
        await notes.wait("logged_in")
        await until(lambda: asked > 0)
        taken, asked = len(notes.of("received")), 0
        await until(lambda: asked > 100)
        assert len(notes.of("received")) == taken < 2_000
        is_full = False
        await until(lambda: len(notes.of("received")) == 2_000, 20)
        assert not session.done()
    assert [event.frame for event in notes.of("received") if isinstance(event, InvalidFrame)] == [
        b'{"n":%d}' % number for number in range(2_000)
    ]
