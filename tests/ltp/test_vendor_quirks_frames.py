"""Vendor quirks of one connection's conversation: the login, the pings, and what is signed."""

from collections.abc import Mapping

import pytest

from bridge.core.now import Now
from bridge.ltp.protocol import Conversation, Event, LoggedIn, LoginDenied
from bridge.ltp.signing import rest_signature

PUSH = b'{"channel":"Orders","data":{}}'
JSON_PING = b'{"ping":%d}'
TEXT_PING = b"ping"


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
    conversation.receive(b'{"event":"login","code":0,"msg":""}', at(0))
    return conversation


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param(
            b'{"id":null,"event":"login","code":0,"msg":"","data":null}', LoggedIn(), id="02 login code type: a number"
        ),
        pytest.param(b'{"event":"login","code":0,"msg":""}', LoggedIn(), id="02 login code type: without id and data"),
        pytest.param(b'{"event":"login","code":"0","msg":""}', LoggedIn(), id="02 login code type: text"),
        pytest.param(
            b'{"id":null,"event":"login","code":60009,"msg":"Login failed."}',
            LoginDenied(60009, "Login failed."),
            id="03 login failure shape: under the login's name",
        ),
        pytest.param(
            b'{"event":"error","code":"60009","msg":"Login failed."}',
            LoginDenied(60009, "Login failed."),
            id="03 login failure shape: as an error",
        ),
        pytest.param(
            b'{"event":"error","code":601010,"msg":"too often"}',
            LoginDenied(601010, "too often"),
            id="03 login failure shape: a code of its own",
        ),
        pytest.param(
            b'{"event":"login","code":200000,"msg":"Success"}',
            LoginDenied(200000, "Success"),
            id="07 ack success code: an action's is none of a login",
        ),
    ],
)
def test_the_answer_to_a_login(raw: bytes, expected: Event) -> None:
    """Only the code 0 under the login's own name lets us in; another code under it, or as an error, is a refusal."""
    assert begun().receive(raw, at(1)) == [expected]


@pytest.mark.parametrize(
    "pong",
    [
        pytest.param(b'{"pong":1769050974552}', id="04 heartbeat style: a number"),
        pytest.param(b'{"pong":"1769050974552"}', id="04 heartbeat style: text for a number"),
        pytest.param(b"pong", id="04 heartbeat style: the bare word"),
        pytest.param(b" PONG\r\n", id="04 heartbeat style: in capitals"),
        pytest.param(b'"pong"', id="04 heartbeat style: the word in quotes"),
    ],
)
def test_every_pong_counts(pong: bytes) -> None:
    """Nothing is overdue, and the next ping is due an interval after the last."""
    conversation = live()
    conversation.tick(at(10))
    conversation.receive(pong, at(11))
    assert conversation.tick(at(19.9)) is None
    assert conversation.fresh(at(19.9))
    assert conversation.wake_at() == 20


@pytest.mark.parametrize(
    ("pong", "next_ping"),
    [
        pytest.param(b'{"pong":1}', JSON_PING % 20_000, id="04 heartbeat style: goes on in JSON"),
        pytest.param(b"pong", TEXT_PING, id="04 heartbeat style: goes on in text"),
    ],
)
def test_both_styles_are_tried_and_the_answered_one_stays(pong: bytes, next_ping: bytes) -> None:
    """JSON first; without an answer the bare word half-way to the deadline."""
    conversation = live()
    for second, frame in ((10, JSON_PING % 10_000), (12.5, TEXT_PING)):
        conversation.tick(at(second))
        assert conversation.outgoing() == [frame]
    conversation.receive(pong, at(13))
    conversation.tick(at(20))
    assert conversation.outgoing() == [next_ping]


@pytest.mark.parametrize(
    "talks_at",
    [
        pytest.param([], id="05 silence rule: both are silent"),
        pytest.param(range(1, 10), id="05 silence rule: only the venue talks"),
    ],
)
def test_pings_go_out_whoever_is_silent(talks_at: list[int]) -> None:
    """Whichever way the venue counts, it hears of us every 10 s, well before its 30 s are over."""
    conversation = live()
    for second in talks_at:
        conversation.receive(PUSH, at(second))
    conversation.tick(at(9.9))
    assert conversation.outgoing() == []
    conversation.tick(at(10))
    assert conversation.outgoing() == [JSON_PING % 10_000]


@pytest.mark.parametrize(
    ("params", "signature"),
    [
        pytest.param(
            {},
            "84212caf62882df8d67f43a8a5a1d6e17f0cc6ffe02b3409cf9f01bab47a5866",
            id="26 signing samples: the ampersand stays without parameters",
        ),
        pytest.param(
            {"page": "1", "exchange": "BINANCE", "pageSize": "1000", "end": "1712343600000", "begin": "1712340000000"},
            "5d703fbccc2ed24f2157a5bbdf088e4123ba3df1025b756a7dd2cedc976f3390",
            id="26 signing samples: parameters in order",
        ),
        pytest.param(
            {"clientOrderId": "vec0001"},
            "9be01ea757bc6bc10895f82a7d56dbdf20f9231b1e6c29f6c330c387662aefec",
            id="26 signing samples: parameters are never left out",
        ),
    ],
)
def test_requests_are_signed_as_the_official_page_says(params: Mapping[str, str], signature: str) -> None:
    """Against vectors that were computed with openssl; the samples that contradict it are not followed."""
    assert signature == rest_signature("sk-test-secret", params, 1712345678)
