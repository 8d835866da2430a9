"""Lost topics: an alarm from the loss to the repair, and the states are published again."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from bridge.contract.session import Cause
from bridge.contract.topics import STATE_STREAMS, Stream, topic_name
from bridge.core.records import OutgoingRecord, Push
from bridge.core.topic_losses import GONE, LostTopic, MissingGrant
from tests.support.one_account import OneAccount
from tests.support.one_recovery import asset, order, position, raw

CHANNELS = {Stream.ORDERS: "Orders", Stream.ASSETS: "Assets", Stream.POSITIONS: "Positions"}
ROWS: dict[Stream, Callable[..., dict[str, Any]]] = {
    Stream.ORDERS: order,
    Stream.ASSETS: asset,
    Stream.POSITIONS: position,
}


def lost(stream: Stream, problem: str = "", *, is_empty: bool = True, since_ms: int = 1) -> LostTopic:
    """Lose a topic."""
    return LostTopic(topic_name("ltp", "main", stream), stream, since_ms, problem, is_empty)


def update(one: OneAccount, *topics: LostTopic) -> list[str]:
    """Report losses to the account, and return the last part of the names of the restored topics."""
    return [name.rpartition(".")[2] for name in one.account.topic_losses.publish_losses(topics, "here:1", one.now)]


def push(one: OneAccount, stream: Stream, row: Any) -> None:  # noqa: ANN401 - JSON
    """Let the venue push a row."""
    one.account.on_frame(Push(CHANNELS[stream], raw(row), b"{}"), one.now)


def events(records: list[OutgoingRecord]) -> list[dict[str, Any]]:
    """Return the session events among records."""
    return [json.loads(one.value or b"") for one in records if one.stream is Stream.SESSION]


@pytest.mark.parametrize("stream", [one for one in Stream if one not in STATE_STREAMS])
def test_a_lost_topic_has_an_alarm_from_its_loss_to_its_repair(stream: Stream) -> None:
    """Once each, by its name, with what is wrong and what is gone."""
    one = OneAccount()
    one.drain()
    for _ in range(2):
        assert update(one, lost(stream, "it does not exist")) == []
    (raised,) = events(one.drain())
    assert (raised["alarm"], raised["subject"]) == ("topic_lost", f"ltp.main.{stream.value}")
    assert raised["detail"] == f"it does not exist; {GONE[stream]}"
    assert update(one, lost(stream)) == [stream.value]
    assert one.cleared() == ["topic_lost"]


@pytest.mark.parametrize("stream", sorted(STATE_STREAMS))
def test_states_are_published_again_when_their_topic_is_there_again(stream: Stream) -> None:
    """All of them, and only then is the topic restored; those of other topics are left alone."""
    one = OneAccount()
    for other in STATE_STREAMS:
        push(one, other, ROWS[other](1_700_000_000_000))
    before = [record for record in one.drain() if record.stream is stream]
    update(one, lost(stream, "gone"))
    one.wait(1)
    assert [record for record in one.drain() if record.stream in STATE_STREAMS] == []
    assert update(one, lost(stream)) == []
    one.wait(1)
    again = [record for record in one.drain() if record.stream in STATE_STREAMS]
    assert [(record.key, record.value, record.event_id) for record in again] == [
        (record.key, record.value, record.event_id) for record in before
    ]
    assert update(one, lost(stream)) == [stream.value]
    assert update(one, lost(stream, since_ms=2)) == []


def test_a_state_that_an_earlier_owner_recovered_is_published_again_as_recovered() -> None:
    """It is no push, and a reader who counts pushes must not take it for one."""
    one = OneAccount()
    one.account.stream.restore_record(Stream.ASSETS, raw(asset(1_700_000_000_000)), one.now.wall_ms, recovered=True)
    one.account.stream.restore_record(Stream.POSITIONS, raw(position(1_700_000_000_000)), one.now.wall_ms)
    update(one, lost(Stream.ASSETS), lost(Stream.POSITIONS))
    one.wait(1)
    again = {record.stream: record.recovered for record in one.drain() if record.stream in STATE_STREAMS}
    assert again == {Stream.ASSETS: True, Stream.POSITIONS: False}


def test_a_topic_that_was_not_emptied_gets_no_records_again() -> None:
    """The same topic was only not seen for a while."""
    one = OneAccount()
    push(one, Stream.ASSETS, asset(1_700_000_000_000))
    one.drain()
    assert update(one, lost(Stream.ASSETS, is_empty=False)) == ["assets"]
    one.wait(1)
    assert [record for record in one.drain() if record.stream is Stream.ASSETS] == []


def test_on_session_the_owner_its_alarms_gaps_and_session_are_published_again() -> None:
    """In an order by which a reader who begins there knows what the others know."""
    one = OneAccount(live=False)
    one.account.begin("here:1", one.now)
    one.open_session()
    gap_id = events(one.drain())[1]["gapId"]
    update(one, lost(Stream.SESSION, "gone"))
    one.drain()
    assert update(one, lost(Stream.SESSION)) == ["session"]
    published = events(one.drain())
    assert [event["type"] for event in published] == [
        *("owner.acquired", "alarm.raised", "gap.opened", "session.opened", "recovery.complete", "alarm.cleared")
    ]
    assert (published[0]["epoch"], published[1]["subject"], published[2]["gapId"]) == (1, "ltp.main.session", gap_id)
    one.account.session_lost("az4", Cause.LINK_FAILED, "cut", one.now.wall_ms, one.now)
    one.drain()
    update(one, lost(Stream.SESSION, since_ms=2))
    types = [event["type"] for event in events(one.drain())]
    assert types.count("gap.opened") == 2
    assert "session.opened" not in types


def test_on_results_the_owner_announces_itself_again() -> None:
    """Its epoch makes what an earlier owner's producer may still write void."""
    one = OneAccount(epoch=7)
    one.drain()
    update(one, lost(Stream.RESULTS))
    (takeover,) = [record for record in one.drain() if record.stream is Stream.RESULTS]
    assert (takeover.event_id, json.loads(takeover.value or b"")["instance"]) == ("takeover:7", "here:1")


def test_missing_grants_have_an_alarm_until_they_are_given() -> None:
    """Each by its topic; the end of one does not clear another."""
    one = OneAccount()
    losses = one.account.topic_losses
    orders, trades = (MissingGrant(f"ltp.main.{name}", 1, f"lacks Write on {name}") for name in ("orders", "trades"))
    one.drain()
    for missing in ([orders, trades], [orders, trades], [trades], []):
        losses.publish_missing_grants(missing, one.now)
    published = [(event["type"], event["alarm"], event["subject"]) for event in events(one.drain())]
    assert published == [
        ("alarm.raised", "grant_missing", "ltp.main.orders"),
        ("alarm.raised", "grant_missing", "ltp.main.trades"),
        ("alarm.cleared", "grant_missing", "ltp.main.orders"),
        ("alarm.cleared", "grant_missing", "ltp.main.trades"),
    ]
