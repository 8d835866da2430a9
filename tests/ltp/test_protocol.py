"""The protocol of one connection, without a socket or a clock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.config import Timing
from bridge.contract.session import Cause
from bridge.core.now import Now
from bridge.core.records import Answer, InvalidFrame, Push
from bridge.core.skew import ClockReading
from bridge.ltp.protocol import EARLY_BYTES_MAX, EARLY_FRAMES_MAX, LoggedIn, LoginRejected, Protocol, ProtocolEnd

ACCEPTED = b'{"id":null,"event":"login","code":0,"msg":"","data":null}'
PUSH = b'{"channel":"Orders","data":{}}'


def at(boot_s: float) -> Now:
    """Return an instant; Unix time began with the test."""
    return Now(boot_s, int(boot_s * 1000))


def new_protocol() -> Protocol:
    """Return a protocol at 0 s that pings every 10 s and gives the venue 5 s."""
    return Protocol(b"login", Timing(ping_interval_s=10, pong_deadline_s=5), 10, at(0))


def logged_in_protocol() -> Protocol:
    """Return a protocol that logged in at 0 s and has nothing to send."""
    protocol = new_protocol()
    protocol.take_outgoing()
    assert [LoggedIn()] == protocol.receive(ACCEPTED, at(0))
    return protocol


def test_the_login_comes_first() -> None:
    """The first frame is the login, and the first deadline is its own."""
    protocol = new_protocol()
    assert protocol.take_outgoing() == [b"login"]
    assert protocol.wake_boot_s == 10
    assert not protocol.logged_in
    assert not protocol.is_fresh(at(0))


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b'{"event":"login","code":60009,"msg":"Login failed."}', 60009),
        (b'{"event":"error","code":"60009","msg":"Login failed."}', 60009),
        (b'{"event":"login","code":200000,"msg":"Success"}', 200000),
    ],
)
def test_any_other_code_than_0_is_a_refusal(raw: bytes, code: int) -> None:
    """A login may be refused under its own name or as an error; the success code of an action is a refusal too."""
    protocol = new_protocol()
    (event,) = protocol.receive(raw, at(1))
    assert isinstance(event, LoginRejected)
    assert code == event.code
    assert protocol.wake_boot_s is None


def test_a_login_without_answer_ends_after_10_s() -> None:
    """The venue has 10 s to answer."""
    protocol = new_protocol()
    assert protocol.tick(at(9.9)) is None
    assert ProtocolEnd(Cause.LINK_FAILED, "no answer to the login within 10 s") == protocol.tick(at(10))


def test_an_early_push_is_returned_after_the_login() -> None:
    """No early frame is lost, and the login is the first event."""
    protocol = new_protocol()
    assert protocol.receive(PUSH, at(1)) == []
    assert [LoggedIn(), Push("Orders", b"{}", PUSH)] == protocol.receive(ACCEPTED, at(2))


@pytest.mark.parametrize(
    "greeting",
    [
        b'{"event":"connected","code":0,"msg":"welcome"}',
        b'{"event":"info","code":200000,"msg":"ok"}',
        b'{"event":"error","code":401018,"msg":"The order was not found"}',
        b'{"id":"1x2x3","event":"cancel_order","code":60009,"msg":"of the last session"}',
        b'{"event":"error","code":0}',
    ],
)
def test_a_coded_frame_that_is_no_answer_to_the_login_refuses_nothing(greeting: bytes) -> None:
    """A greeting, or an answer about another program's order, is returned after the login as what it is."""
    protocol = new_protocol()
    assert protocol.receive(greeting, at(1)) == []
    logged_in, told = protocol.receive(ACCEPTED, at(2))
    assert logged_in == LoggedIn()
    assert isinstance(told, Answer | InvalidFrame)


@pytest.mark.parametrize(
    "raw",
    [b'{"event":"login","code":0.0}', b'{"event":"Login","code":"0"}', b'\xef\xbb\xbf{"event":"login","code":0}'],
)
def test_a_login_that_is_accepted_in_another_spelling_is_accepted(raw: bytes) -> None:
    """Whole numbers in any form, any case, and a byte order mark are read."""
    assert new_protocol().receive(raw, at(1)) == [LoggedIn()]


@pytest.mark.parametrize(
    ("frames", "frame"),
    [
        (EARLY_FRAMES_MAX + 1, PUSH),
        (3, b'{"channel":"Orders","data":"' + b"x" * (EARLY_BYTES_MAX // 3) + b'"}'),
    ],
)
def test_frames_before_the_login_are_bounded(frames: int, frame: bytes) -> None:
    """A peer that never answers the login cannot fill the memory, with many frames or a few large ones."""
    protocol = new_protocol()
    events = [event for _ in range(frames) for event in protocol.receive(frame, at(1))]
    assert [event.cause for event in events if isinstance(event, ProtocolEnd)] == [Cause.PROTOCOL_ERROR]


def test_pushes_answers_and_invalid_frames_are_returned() -> None:
    """Frames that are not about the connection itself are returned as they are."""
    protocol = logged_in_protocol()
    answer = b'{"id":"1","event":"place_order","code":200000}'
    events = [event for raw in (PUSH, answer, b"?") for event in protocol.receive(raw, at(1))]
    assert [Push, Answer, InvalidFrame] == [type(event) for event in events]


@pytest.mark.parametrize("pong", [b'{"pong":1}', b"pong", b"PONG "])
def test_a_pong_of_any_style_answers_a_ping(pong: bytes) -> None:
    """After a pong the next ping is due an interval after the last one."""
    protocol = logged_in_protocol()
    assert protocol.wake_boot_s == 10
    protocol.tick(at(10))
    assert protocol.take_outgoing() == [b'{"ping":10000}']
    assert protocol.receive(pong, at(10.1)) == []
    assert protocol.wake_boot_s == 20
    assert protocol.is_fresh(at(20.5))


def test_the_venues_time_in_a_pong_measures_the_clocks() -> None:
    """The pong was stamped between ping and pong, so the difference lies between two bounds."""
    protocol = logged_in_protocol()
    protocol.tick(at(10))
    assert protocol.receive(b'{"pong":1000000000000}', at(10.2)) == [ClockReading(10, 10.2, 1_000_000_000_000)]


def test_a_pong_without_a_ping_measures_nothing() -> None:
    """The time at which it was stamped is unknown."""
    assert logged_in_protocol().receive(b'{"pong":1000000000000}', at(1)) == []


def test_pushes_do_not_answer_a_ping() -> None:
    """A link on which only the venue's frames arrive is found dead within 15 s of the last pong."""
    protocol = logged_in_protocol()
    protocol.tick(at(10))
    protocol.receive(PUSH, at(12))
    protocol.tick(at(12.5))
    assert protocol.tick(at(14.9)) is None
    assert ProtocolEnd(Cause.PONG_OVERDUE, "no pong within 5 s") == protocol.tick(at(15))
    assert not protocol.logged_in


def test_a_pong_behind_frames_that_were_not_read_is_not_overdue() -> None:
    """Its deadline begins at the end of the pause. Pings go on: the venue ends a link without them."""
    protocol = logged_in_protocol()
    protocol.tick(at(10))
    protocol.tick(at(12.5))
    protocol.take_outgoing()
    for paused_s in range(13, 20):
        protocol.note_pause(at(paused_s))
        assert protocol.tick(at(paused_s + 0.5)) is None
    assert protocol.take_outgoing() == []
    assert protocol.wake_boot_s == 20
    assert protocol.tick(at(20)) is None
    assert protocol.take_outgoing() == [b'{"ping":20000}']
    assert not protocol.is_fresh(at(20.5))
    assert ProtocolEnd(Cause.PONG_OVERDUE, "no pong within 5 s") == protocol.tick(at(24))


def test_pongs_after_a_pause_answer_their_own_pings() -> None:
    """In their order; and none of them reads the clock, because it came long before it is read."""
    protocol = logged_in_protocol()
    protocol.tick(at(10))
    for paused_s in range(11, 21):
        protocol.note_pause(at(paused_s))
        protocol.tick(at(paused_s + 0.5))
    assert protocol.receive(b'{"pong":1000000000000}', at(21)) == []
    assert not protocol.is_fresh(at(21.6))
    assert protocol.receive(b'{"pong":1000000000000}', at(22)) == []
    assert protocol.is_fresh(at(22))
    protocol.tick(at(30.5))
    assert protocol.receive(b'{"pong":1000000000000}', at(31)) == [ClockReading(30.5, 31, 1_000_000_000_000)]


def test_the_other_style_of_ping_is_tried_before_giving_up() -> None:
    """A venue that answers only the bare word gets it from then on."""
    protocol = logged_in_protocol()
    protocol.tick(at(10))
    protocol.take_outgoing()
    assert protocol.wake_boot_s == 12.5
    protocol.tick(at(12.5))
    assert protocol.take_outgoing() == [b"ping"]
    protocol.receive(b"pong", at(12.6))
    protocol.tick(at(20))
    assert protocol.take_outgoing() == [b"ping"]


def test_a_link_is_not_fresh_when_a_ping_is_unanswered_or_late() -> None:
    """More than a second without a pong, or without a due ping, is too long to write an order."""
    protocol = logged_in_protocol()
    assert protocol.is_fresh(at(11))
    assert not protocol.is_fresh(at(11.1))
    protocol.tick(at(11.1))
    assert protocol.is_fresh(at(12.1))
    assert not protocol.is_fresh(at(12.2))


def test_an_answer_that_the_login_is_invalid_ends_the_protocol() -> None:
    """The answer is returned, and a new login is needed."""
    events = logged_in_protocol().receive(
        b'{"id":"1","event":"place_order","code":4000,"msg":"invalid login session"}', at(1)
    )
    assert [Answer, ProtocolEnd] == [type(event) for event in events]


def test_a_later_login_answer() -> None:
    """A second success changes nothing; a refusal ends the protocol."""
    protocol = logged_in_protocol()
    assert protocol.receive(ACCEPTED, at(1)) == []
    (event,) = protocol.receive(b'{"event":"login","code":60009,"msg":""}', at(1))
    assert isinstance(event, ProtocolEnd)
    assert protocol.receive(PUSH, at(2)) == []
    assert protocol.tick(at(100)) is None


_frames = st.sampled_from([ACCEPTED, PUSH, b"pong", b'{"pong":1}', b'{"event":"login","code":1}', b"?"])


@given(st.lists(st.tuples(st.integers(0, 28), _frames | st.none())))
def test_a_silent_venue_is_found_within_15_s(steps: list[tuple[int, bytes | None]]) -> None:
    """For any frames at any times, a protocol without pongs ends 15 s later if `tick` is called when it asks for it."""
    protocol, boot_s = new_protocol(), 0.0
    for quarters, raw in steps:
        boot_s += quarters / 4
        while (wake_boot_s := protocol.wake_boot_s) is not None and wake_boot_s <= boot_s:
            protocol.tick(at(wake_boot_s))
        if raw is not None:
            protocol.receive(raw, at(boot_s))
    silent_since = boot_s
    while (wake_boot_s := protocol.wake_boot_s) is not None:
        assert wake_boot_s <= silent_since + 15
        protocol.tick(at(wake_boot_s))
