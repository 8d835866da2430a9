"""An hour of trading with an audit every minute: on a healthy link nothing is missed, and one muted push always is."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.contract.session import Cause
from bridge.contract.topics import Stream
from tests.support.one_hour import HOUR_MS, Fact, OneHour, Trading
from tests.support.one_recovery import LOGIN_MS, OneRecovery, Row

REST_LAG_MS = 30_000
AUDIT_MS = 60_000
SKEW_BOUND_MS = 5_000
_RANDOM = st.integers(0, 2**32).map(Random)
_LAG_MS = st.sampled_from([0, 5_000, 29_000])
_ENDED_MS = st.sampled_from([0, LOGIN_MS - 60_000])
"""The very first start, and a takeover."""


def _same(one: Row | None, other: Row) -> bool:
    """Whether they say the same but for what a position is worth."""
    if one is None:
        return other.get("positionQty") == "0" or other.get("balance") == "0"
    return {**one, "updateAt": 0, "markPrice": 0} == {**other, "updateAt": 0, "markPrice": 0}


def _is_told(hour: OneHour) -> bool:
    """Whether every last record is the truth, and every trade was published."""
    for stream in (Stream.ORDERS, Stream.ASSETS, Stream.POSITIONS):
        last = hour.one.last(stream)
        assert [key for key, row in hour.truth(stream).items() if not _same(last.get(key), row)] == []
    names = {record.event_id for record in hour.one.records(Stream.TRADES)}
    since_start = [fact for fact in hour.facts if fact.stream is Stream.TRADES and fact.at_ms >= LOGIN_MS]
    assert {f"trade:OKX:{f.row['sym']}:{f.key}:{f.row['transactionId']}" for f in since_start} <= names
    return hour.one.events("alarm.raised") == []


@settings(max_examples=4)
@given(_RANDOM, _LAG_MS, _ENDED_MS)
def test_nothing_is_missed_on_a_healthy_link(random: Random, lag_ms: int, ended_ms: int) -> None:
    """However REST leads and lags the stream: the gap of the start closes, and no other is opened."""
    hour = OneHour(random, OneRecovery(ended_ms=ended_ms), lag_ms, Trading(random).facts(), None)
    hour.run()
    assert hour.missed_at_ms == []
    (closed,) = hour.one.events("gap.closed")
    assert len(hour.one.events("gap.opened")) == 1
    assert LOGIN_MS <= closed["toMs"] <= LOGIN_MS + SKEW_BOUND_MS
    assert closed["at"] < LOGIN_MS + 60_000
    assert _is_told(hour)


@settings(max_examples=5)
@given(_RANDOM, _LAG_MS, _ENDED_MS)
def test_one_muted_push_is_found_and_given_back(random: Random, lag_ms: int, ended_ms: int) -> None:
    """By the second look, when REST must know it and not before, in a gap that begins no later than it."""
    facts = Trading(random).facts()
    muted = random.choice([fact for fact in facts if _can_be_found(fact)])
    hour = OneHour(random, OneRecovery(ended_ms=ended_ms), lag_ms, facts, muted)
    hour.run()
    (found_ms,) = hour.missed_at_ms
    looks_ms = REST_LAG_MS / 6 + 10_000
    assert muted.at_ms + REST_LAG_MS < found_ms < muted.at_ms + REST_LAG_MS + lag_ms + AUDIT_MS + looks_ms
    _, opened = hour.one.events("gap.opened")
    assert (opened["cause"], opened["fromMs"] <= muted.at_ms) == (Cause.PUSHES_MISSED, True)
    _, closed = hour.one.events("gap.closed")
    assert sum(closed["recovered"].values()) >= 1
    assert _is_told(hour)


def _can_be_found(fact: Fact) -> bool:
    """Whether nothing that is pushed later tells it too, and there is time left to find it."""
    of_this_hour = LOGIN_MS + SKEW_BOUND_MS < fact.at_ms < LOGIN_MS + HOUR_MS - 300_000
    return of_this_hour and (fact.stream is Stream.TRADES or fact.last)
