"""Whatever bytes stand on a topic, no decoder of it raises anything but what its reader expects.

Anybody with Write on a topic, or a corrupt disk, may put them there. A short search; `--hypothesis-profile long` makes
it a hundred times as long.
"""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bridge.contract import headers as names
from bridge.contract.headers import Headers
from bridge.contract.topics import STATE_STREAMS, Stream
from bridge.core.commands.claims import METADATA_BYTES_MAX, decode, encode
from bridge.core.commands.takeover_status import TakeoverStatus
from bridge.core.records import CommandRecord
from bridge.core.replay import ReplayedResults, ReplayedSession, ReplayedStates, TopicEnd, find_portfolios
from tests.support.one_account import START, OneAccount, cancel, place
from tests.support.outside import Tail

BTC = "BINANCE_PERP_BTC_USDT"
RESULT = {
    "commandId": "a",
    "commandOffset": 3,
    "outcome": "accepted",
    "answeredAt": START.wall_ms,
    "action": "place_order",
}
RESULT |= {"orderId": "1", "clientOrderId": "o", "sentAt": START.wall_ms, "bodyDigest": "d", "message": "m", "code": 1}
TAKEOVER = {"epoch": 2, "instance": "here", "at": 1, "environment": "production", "keyFingerprint": "aa"}
GAP = {"type": "gap.opened", "at": 1, "gapId": "1-1", "fromMs": 5, "cause": "stopped", "detail": ""}
LOGIN = {"type": "session.opened", "at": 9, "endpoint": "here"}
ORDER = {"orderId": "1", "clientOrderId": "o", "sym": BTC, "orderState": "OPEN", "updateAt": "5"}
POSITION = {
    "sym": BTC,
    "positionSide": "NONE",
    "positionQty": "1",
    "updateAt": "5",
    "portfolioId": "7",
}
TRADE = {
    "transactionId": "7",
    "orderId": "1",
    "sym": BTC,
    "quantity": "1",
    "price": "1",
    "createAt": "5",
}
SEEDS: list[dict[str, Any]] = [
    RESULT,
    TAKEOVER,
    GAP,
    LOGIN,
    ORDER,
    POSITION,
    TRADE,
    place("a"),
    cancel("c", orderId="1"),
]

ODD_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**40), 10**40),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(
        ["9" * 5000, "\ud7ff", "\x00", "1e999", "-0", "٣", [[[]]], {}, {"a": None}, 10**400, -1, 2**63, "x" * 70_000]
    ),
)
ODD_HEADERS = st.one_of(
    st.none(),
    st.binary(max_size=20),
    st.integers(0, 10**40).map(lambda number: str(number).encode()),
    st.sampled_from([b"", b"9" * 5000, b"0" * 40, b"-1", b"\xb2", b"\xff", "٣".encode(), names.TAKEOVER_TYPE]),
)


@st.composite
def changed(draw: st.DrawFn, *seeds: dict[str, Any]) -> bytes:
    """Draw one of our own records with some fields changed, and now and then its bytes."""
    body = dict(draw(st.sampled_from(seeds)))
    for name in draw(st.lists(st.sampled_from(sorted(body)), max_size=3)):
        body[name] = draw(ODD_VALUES)
    value = json.dumps(body).encode()
    cut, put = draw(st.integers(0, len(value))), draw(st.binary(max_size=3))
    return draw(st.sampled_from([value, value[:cut], value[:cut] + put + value[cut + 1 :], value + put]))


VALUES = st.one_of(
    st.none(),
    st.binary(max_size=60),
    changed(*SEEDS),
    st.sampled_from([b"[" * 100_000, b'{"a":' * 50_000, b"9" * 5000, b"\xff\xfe", b"null", b'"\\ud800"', b"1e99999"]),
)


@st.composite
def records(draw: st.DrawFn) -> list[Tail]:
    """Draw records of any topic, with headers of ours that hold what they like."""
    found = []
    for offset in range(draw(st.integers(1, 3))):
        headers = [
            (names.EPOCH, b"1"),
            (names.TYPE, draw(st.sampled_from([names.TAKEOVER_TYPE, *names.EVENT_TYPES.values()]))),
        ]
        named = st.sampled_from([names.EPOCH, names.TYPE, names.ERROR_OFFSET, names.SEQUENCE, "x"])
        odd = draw(st.lists(st.tuples(named, ODD_HEADERS), max_size=2))
        key, at_ms = (
            draw(st.one_of(st.none(), st.binary(max_size=5))),
            draw(st.sampled_from([START.wall_ms, -1, 0, 2**62])),
        )
        found.append(Tail(at_ms, draw(VALUES), [*headers, *odd], offset, key))  # type: ignore[list-item] # no content
    return found


@given(records())
def test_a_replay_passes_over_what_it_cannot_read(found: list[Tail]) -> None:
    """Results, dead letters, session, states, the end of a topic: a takeover survives any bytes there."""
    one = OneAccount()
    answers, session, states, end = ReplayedResults(), ReplayedSession(), ReplayedStates(), TopicEnd()
    results = answers.read_results(found)
    answers.read_dead_letters(found)
    session.read_records(found)
    states.read_records(found)
    end.add_records(found)
    find_portfolios(value for value, _ in states.last.values())
    assert 0 <= max(end.epoch, answers.epoch) <= names.EPOCH_MAX
    one.account.restore(results, one.now)
    one.account.stream.inherit_gaps(session.open_gaps)
    for stream in (*STATE_STREAMS, Stream.TRADES):
        for value, published_ms in states.last.values():
            one.account.stream.restore_record(stream, value, published_ms)
    for record in found:
        assert answers.has_answer(CommandRecord(record.offset, START.wall_ms, record.key, record.value, ())) in {
            True,
            False,
        }
    one.account.begin("here", one.now)
    one.wait(1)
    one.account.tick(one.now)
    one.drain()


@given(
    changed(RESULT, {**RESULT, "outcome": "denied", "reason": "lane_full", "retryAfterMs": 5}), st.integers(-1, 2**62)
)
def test_what_a_result_says_can_be_remembered(value: bytes, at_ms: int) -> None:
    """What no bridge has written is no result; every other one is remembered, and the account runs on."""
    one = OneAccount()
    headers = [(names.EPOCH, b"1"), (names.TYPE, b"ltp.result.v1")]
    one.account.restore(ReplayedResults().read_results([Tail(at_ms, value, headers)]), one.now)
    one.offer(place("a"))
    one.send()
    one.wait(1)
    one.account.tick(one.now)
    one.drain()


@given(
    VALUES,
    st.lists(st.tuples(st.sampled_from([*sorted(names.CORRELATION_HEADERS), "x"]), st.binary(max_size=30)), max_size=2),
)
def test_every_record_of_commands_is_taken_in(value: bytes | None, headers: Headers) -> None:
    """New, read or claimed before: each is answered or waits for its turn, and none is passed over."""
    for past in (TakeoverStatus.NEW, TakeoverStatus.READ, TakeoverStatus.CLAIMED):
        one = OneAccount()
        one.account.intake.offer(CommandRecord(0, one.now.wall_ms, b"k", value, tuple(headers)), one.now, past)
        one.drain()
        one.wait(1)
        assert one.account.next_commit(one.now, 0, recording=True) is not None


@given(
    st.one_of(
        st.text(max_size=60),
        st.from_regex(r"\Altpb[12](:[A-Za-z0-9_-]{0,25}){5,11}\Z"),
        st.from_regex(r"\Altpb2(:[0-9]{1,19}){3}:[01]:[0-9]{1,19}:7(:[A-Za-z0-9_-]{0,25}){5}\Z"),
        st.just("ltpb2:" + "9" * 4000),
    )
)
def test_every_commit_is_read_or_refused(metadata: str) -> None:
    """What is read can be written again by the next owner, and fits."""
    stored = decode(metadata, 7)
    if stored is not None:
        OneAccount(live=False).account.restore_extra_cancels(stored.extra_cancels, START, in_good_order=False)
        again = encode(stored, 7)
        assert decode(again, 7) == stored
        assert len(again) <= METADATA_BYTES_MAX + 200
