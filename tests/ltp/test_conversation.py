"""The conversation of one connection, without a socket or a clock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.contract.session import Cause
from bridge.core.now import Now
from bridge.core.records import Answer, InvalidFrame, Push
from bridge.core.skew import ClockReading
from bridge.ltp.protocol import EARLY_BYTES_MAX, EARLY_FRAMES_MAX, Conversation, LoggedIn, LoginDenied, Over

ACCEPTED = b'{"id":null,"event":"login","code":0,"msg":"","data":null}'
PUSH = b'{"channel":"Orders","data":{}}'


def at(mono: float) -> Now:
    """Return an instant; Unix time began with the test."""
    return Now(mono, int(mono * 1000))


def begun() -> Conversation:
    """Return a conversation at 0 s that pings every 10 s and gives the venue 5 s."""
    return Conversation(b"login", ping_interval_s=10, pong_deadline_s=5, login_deadline_s=10, now=at(0))


def live() -> Conversation:
    """Return a conversation that logged in at 0 s and has nothing to send."""
    conversation = begun()
    conversation.outgoing()
    assert [LoggedIn()] == conversation.receive(ACCEPTED, at(0))
    return conversation


def test_the_login_comes_first() -> None:
    """The first frame is the login, and the next deadline is its own."""
    conversation = begun()
    assert conversation.outgoing() == [b"login"]
    assert conversation.wake_at() == 10
    assert not conversation.logged_in
    assert not conversation.fresh(at(0))


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b'{"event":"login","code":60009,"msg":"Login failed."}', 60009),
        (b'{"event":"error","code":"60009","msg":"Login failed."}', 60009),
        (b'{"event":"login","code":200000,"msg":"Success"}', 200000),
    ],
)
def test_any_other_code_than_0_is_a_refusal(raw: bytes, code: int) -> None:
    """A login is refused under its own name or as an error; an action's success code is none of a login."""
    conversation = begun()
    (event,) = conversation.receive(raw, at(1))
    assert isinstance(event, LoginDenied)
    assert code == event.code
    assert conversation.wake_at() is None


def test_a_login_without_answer_ends_after_10_s() -> None:
    """The venue has 10 s to answer, not one more."""
    conversation = begun()
    assert conversation.tick(at(9.9)) is None
    assert Over(Cause.LINK_FAILED, "no answer to the login within 10 s") == conversation.tick(at(10))


def test_a_push_that_overtakes_the_answer_is_told_after_the_login() -> None:
    """Nothing that arrives is lost, and the listener hears of the login first."""
    conversation = begun()
    assert conversation.receive(PUSH, at(1)) == []
    assert [LoggedIn(), Push("Orders", b"{}", PUSH)] == conversation.receive(ACCEPTED, at(2))


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
    """A greeting, or what is about somebody's order: it is told after the login, as what it is."""
    conversation = begun()
    assert conversation.receive(greeting, at(1)) == []
    logged_in, told = conversation.receive(ACCEPTED, at(2))
    assert logged_in == LoggedIn()
    assert isinstance(told, Answer | InvalidFrame)


@pytest.mark.parametrize(
    "raw",
    [b'{"event":"login","code":0.0}', b'{"event":"Login","code":"0"}', b'\xef\xbb\xbf{"event":"login","code":0}'],
)
def test_a_login_that_is_accepted_in_another_spelling_is_accepted(raw: bytes) -> None:
    """Whole numbers in any form, any case, and a mark of the byte order before it."""
    assert begun().receive(raw, at(1)) == [LoggedIn()]


@pytest.mark.parametrize(
    ("frames", "frame"),
    [
        (EARLY_FRAMES_MAX + 1, PUSH),
        (3, b'{"channel":"Orders","data":"' + b"x" * (EARLY_BYTES_MAX // 3) + b'"}'),
    ],
)
def test_frames_before_the_login_are_bounded(frames: int, frame: bytes) -> None:
    """A peer that never answers the login cannot fill the memory, with many frames or with a few large ones."""
    conversation = begun()
    events = [event for _ in range(frames) for event in conversation.receive(frame, at(1))]
    assert [event.cause for event in events if isinstance(event, Over)] == [Cause.PROTOCOL_ERROR]


def test_pushes_answers_and_the_unreadable_are_passed_on() -> None:
    """What is not about the conversation itself goes to the listener as it is."""
    conversation = live()
    answer = b'{"id":"1","event":"place_order","code":200000}'
    events = [event for raw in (PUSH, answer, b"?") for event in conversation.receive(raw, at(1))]
    assert [Push, Answer, InvalidFrame] == [type(event) for event in events]


@pytest.mark.parametrize("pong", [b'{"pong":1}', b"pong", b"PONG "])
def test_a_pong_of_any_style_answers_a_ping(pong: bytes) -> None:
    """After a pong the next ping is due an interval after the last one."""
    conversation = live()
    assert conversation.wake_at() == 10
    conversation.tick(at(10))
    assert conversation.outgoing() == [b'{"ping":10000}']
    assert conversation.receive(pong, at(10.1)) == []
    assert conversation.wake_at() == 20
    assert conversation.fresh(at(20.5))


def test_the_venues_time_in_a_pong_measures_the_clocks() -> None:
    """It stamped the pong between ping and pong, so the difference lies between two bounds."""
    conversation = live()
    conversation.tick(at(10))
    assert conversation.receive(b'{"pong":1000000000000}', at(10.2)) == [ClockReading(10, 10.2, 1_000_000_000_000)]


def test_a_pong_that_nobody_asked_for_measures_nothing() -> None:
    """When it was stamped is not known."""
    assert live().receive(b'{"pong":1000000000000}', at(1)) == []


def test_pushes_do_not_answer_a_ping() -> None:
    """A link on which only their frames get through is found dead: within 15 s of the last pong."""
    conversation = live()
    conversation.tick(at(10))
    conversation.receive(PUSH, at(12))
    conversation.tick(at(12.5))
    assert conversation.tick(at(14.9)) is None
    assert Over(Cause.PONG_OVERDUE, "no pong within 5 s") == conversation.tick(at(15))
    assert not conversation.logged_in


def test_the_other_style_of_ping_is_tried_before_giving_up() -> None:
    """A venue that answers only the bare word is pinged with it from then on."""
    conversation = live()
    conversation.tick(at(10))
    conversation.outgoing()
    assert conversation.wake_at() == 12.5
    conversation.tick(at(12.5))
    assert conversation.outgoing() == [b"ping"]
    conversation.receive(b"pong", at(12.6))
    conversation.tick(at(20))
    assert conversation.outgoing() == [b"ping"]


def test_health_is_in_doubt_when_a_ping_is_unanswered_or_late() -> None:
    """A second without pong, or without having asked for one, is too long to write an order."""
    conversation = live()
    assert conversation.fresh(at(11))
    assert not conversation.fresh(at(11.1))
    conversation.tick(at(11.1))
    assert conversation.fresh(at(12.1))
    assert not conversation.fresh(at(12.2))


def test_an_answer_that_the_login_is_invalid_ends_the_conversation() -> None:
    """The answer is passed on, and a new login is needed."""
    events = live().receive(b'{"id":"1","event":"place_order","code":4000,"msg":"invalid login session"}', at(1))
    assert [Answer, Over] == [type(event) for event in events]


def test_a_later_login_answer() -> None:
    """A second success says nothing new; a refusal ends the conversation."""
    conversation = live()
    assert conversation.receive(ACCEPTED, at(1)) == []
    (event,) = conversation.receive(b'{"event":"login","code":60009,"msg":""}', at(1))
    assert isinstance(event, Over)
    assert conversation.receive(PUSH, at(2)) == []
    assert conversation.tick(at(100)) is None


_frames = st.sampled_from([ACCEPTED, PUSH, b"pong", b'{"pong":1}', b'{"event":"login","code":1}', b"?"])


@given(st.lists(st.tuples(st.integers(0, 28), _frames | st.none())))
def test_whatever_happens_a_silent_venue_is_found_within_15_s(steps: list[tuple[int, bytes | None]]) -> None:
    """For any frames at any times, a conversation without pong ends 15 s later if it is woken when it wants to be."""
    conversation, mono = begun(), 0.0
    for quarters, raw in steps:
        mono += quarters / 4
        while (wake_at := conversation.wake_at()) is not None and wake_at <= mono:
            conversation.tick(at(wake_at))
        if raw is not None:
            conversation.receive(raw, at(mono))
    silent_since = mono
    while (wake_at := conversation.wake_at()) is not None:
        assert wake_at <= silent_since + 15
        conversation.tick(at(wake_at))
