"""Vendor quirks of one connection's protocol: the login, the pings, and the signatures."""

from collections.abc import Mapping

import pytest

from bridge.config import Timing
from bridge.core.now import Now
from bridge.ltp.protocol import LoggedIn, LoginRejected, Protocol, ProtocolEvent
from bridge.ltp.signing import rest_signature

PUSH = b'{"channel":"Orders","data":{}}'
JSON_PING = b'{"ping":%d}'
TEXT_PING = b"ping"


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
    protocol.receive(b'{"event":"login","code":0,"msg":""}', at(0))
    return protocol


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
            LoginRejected(60009, "Login failed."),
            id="03 login failure shape: under the login's name",
        ),
        pytest.param(
            b'{"event":"error","code":"60009","msg":"Login failed."}',
            LoginRejected(60009, "Login failed."),
            id="03 login failure shape: as an error",
        ),
        pytest.param(
            b'{"event":"error","code":601010,"msg":"too often"}',
            LoginRejected(601010, "too often"),
            id="03 login failure shape: a code of its own",
        ),
        pytest.param(
            b'{"event":"login","code":200000,"msg":"Success"}',
            LoginRejected(200000, "Success"),
            id="07 ack success code: an action's is none of a login",
        ),
    ],
)
def test_the_answer_to_a_login(raw: bytes, expected: ProtocolEvent) -> None:
    """Only code 0 under the login's own name is a success; any other code under it, or as an error, is a refusal."""
    assert new_protocol().receive(raw, at(1)) == [expected]


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
    """No pong is overdue, and the next ping is due an interval after the last."""
    protocol = logged_in_protocol()
    protocol.tick(at(10))
    protocol.receive(pong, at(11))
    assert protocol.tick(at(19.9)) is None
    assert protocol.is_fresh(at(19.9))
    assert protocol.wake_boot_s == 20


@pytest.mark.parametrize(
    ("pong", "next_ping"),
    [
        pytest.param(b'{"pong":1}', JSON_PING % 20_000, id="04 heartbeat style: goes on in JSON"),
        pytest.param(b"pong", TEXT_PING, id="04 heartbeat style: goes on in text"),
    ],
)
def test_both_styles_are_tried_and_the_answered_one_stays(pong: bytes, next_ping: bytes) -> None:
    """JSON comes first; without an answer the bare word is sent half-way to the deadline."""
    protocol = logged_in_protocol()
    for second, frame in ((10, JSON_PING % 10_000), (12.5, TEXT_PING)):
        protocol.tick(at(second))
        assert protocol.take_outgoing() == [frame]
    protocol.receive(pong, at(13))
    protocol.tick(at(20))
    assert protocol.take_outgoing() == [next_ping]


@pytest.mark.parametrize(
    "talks_at",
    [
        pytest.param([], id="05 silence rule: both are silent"),
        pytest.param(range(1, 10), id="05 silence rule: only the venue talks"),
    ],
)
def test_pings_are_sent_whichever_side_is_silent(talks_at: list[int]) -> None:
    """The venue gets a frame of ours every 10 s, well within its 30 s, whichever side it watches."""
    protocol = logged_in_protocol()
    for second in talks_at:
        protocol.receive(PUSH, at(second))
    protocol.tick(at(9.9))
    assert protocol.take_outgoing() == []
    protocol.tick(at(10))
    assert protocol.take_outgoing() == [JSON_PING % 10_000]


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
    """The vectors were computed with openssl; samples of the vendor's that contradict them are not followed."""
    assert signature == rest_signature("sk-test-secret", params, 1712345678)
