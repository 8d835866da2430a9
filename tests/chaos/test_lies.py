"""The checker finds what it is there for: each kind of lie, planted into a recording that was true."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.chaos.checker import check
from tests.chaos.story import BEGIN_MS, Story, true_story

Lie = Callable[[Story], object]


def rules(story: Story) -> set[str]:
    """Return the rules that a recording breaks."""
    return {violation["rule"] for violation in check(story.recording())[0]}


def test_a_true_story_breaks_no_rule() -> None:
    """A recording that is true has no violation, and everything in it was counted."""
    violations, facts = check(true_story().recording())
    assert violations == []
    assert (facts["trades"], facts["unheard"], facts["gaps"], facts["gated"]) == (4, 13, 4, 2)
    assert facts["recovered"] == {"orders": 4, "trades": 3, "assets": 4, "positions": 4}


def _told(story: Story, kind: str, gap_id: str = "") -> dict[str, Any]:
    """Return the raw record of a session event, the first of its type or of a gap."""
    records = story.topics["session"]
    return next(
        raw for raw in records if f'"{kind}"' in raw["text"] and (not gap_id or f'"gapId": "{gap_id}"' in raw["text"])
    )


def _retell(raw: dict[str, Any], **fields: object) -> None:
    raw["text"] = json.dumps({**json.loads(raw["text"]), **fields})


def _silence(story: Story, kind: str, gap_id: str = "") -> None:
    """Let a session event never have been said, and no number tell of it."""
    raw = _told(story, kind, gap_id)
    _retell(raw, type="something.else")


def _move(story: Story, gap_id: str, kind: str, name: str, seconds: float) -> None:
    _retell(_told(story, kind, gap_id), **{name: BEGIN_MS + int(seconds * 1000)})


def _without(story: Story, topic: str, index: int) -> None:
    """Take a record away, and every number behind it down by one, so that only its content is missed."""
    gone = story.topics[topic].pop(index)
    for raw in story.topics[topic][index:]:
        if raw["headers"]["ce_epoch"] == gone["headers"]["ce_epoch"]:
            raw["headers"]["ce_sequence"] = f"{int(raw['headers']['ce_sequence']) - 1:020}"


def _change(story: Story, topic: str, index: int, **fields: object) -> None:
    _retell(story.topics[topic][index], **fields)


def _rename(story: Story, topic: str, index: int, **headers: str) -> None:
    story.topics[topic][index]["headers"].update(headers)


def _repeat(story: Story, topic: str, index: int, **headers: str) -> None:
    raw = story.topics[topic][index]
    story.topics[topic].append({**raw, "offset": 99, "headers": {**raw["headers"], **headers}})


def _place_at(story: Story, seconds: float, connection: int) -> None:
    """Let a place arrive at some time."""
    line = next(one for one in story.ledger if one["kind"] == "RECV")
    more = {**line, "number": 999, "wall_ms": BEGIN_MS + int(seconds * 1000), "connection": connection}
    more["facts"] = {"text": json.dumps({"id": "1x9x1", "action": "place_order", "args": {}})}
    story.ledger.append(more)


def _more_heard(story: Story, seconds: float, *, name: str = "o1") -> None:
    """Let the venue make one more push at some time, which nobody published."""
    story.at(seconds).push("Orders", name, story.order("OPEN", "9"), f"{name}:{seconds}")


def _reversed(story: Story) -> None:
    """Let the recovered last state of an order be followed by an older push of it."""
    old = story.topics["orders"][0]["text"]
    story.at(59).record("orders", "o1", old, "order:o1:0")


def _begun_late(story: Story) -> None:
    """Let a gap begin when some of what it lost had been pushed."""
    _move(story, "1-2", "gap.opened", "fromMs", 10.55)
    _move(story, "1-2", "gap.closed", "fromMs", 10.55)


def _silent(story: Story, gap_id: str) -> None:
    """Let nobody be told of a gap."""
    _silence(story, "gap.opened", gap_id)
    _silence(story, "gap.closed", gap_id)


def _void(story: Story) -> None:
    """Let a balance be pushed to an owner that has a successor."""
    story.at(50)
    story.epoch = 1
    story.push("Assets", "BINANCE:BTC", {"coin": "BTC", "updateAt": "1"}, "b1", heard=4)
    story.epoch = 2


def _left_open(story: Story, later_s: float = 0.1) -> None:
    """Let an owner die with a gap open, and its successor's begin so much later."""
    _silence(story, "gap.closed", "1-2")
    for kind in ("gap.opened", "gap.closed"):
        _move(story, "2-1", kind, "fromMs", 9.8 + later_s)


def _needless(story: Story) -> None:
    """Let there be a gap while everything was heard."""
    story.at(50).gap("2-3", 49, "link_failed")
    story.end_gap("2-3", 49, 50, "link_failed")


def _late(story: Story) -> None:
    """Let the recovered trade of a gap come after the gap was closed."""
    story.topics["trades"][1]["timestamp"] = BEGIN_MS + 16_000


LIES: dict[str, tuple[str, Lie]] = {
    "a pushed trade is missing": ("trades", lambda s: _without(s, "trades", 0)),
    "a recovered trade is missing": ("trades", lambda s: _without(s, "trades", 1)),
    "a trade's price was changed": ("trades", lambda s: _change(s, "trades", 0, price="65000.0")),
    "a number that was text": ("trades", lambda s: _change(s, "trades", 1, quantity=0.1)),
    "a recovered trade keeps a field of REST": ("trades", lambda s: _change(s, "trades", 1, tradeSource="")),
    "a trade that never was": ("trades", lambda s: s.record("trades", "o1", json.dumps(s.trade(77)), "trade:77")),
    "a trade under two ids": ("trades", lambda s: _repeat(s, "trades", 0, ce_id="trade:other")),
    "two trades under one id": (
        "trades",
        lambda s: _rename(s, "trades", 1, ce_id=s.topics["trades"][0]["headers"]["ce_id"]),
    ),
    "a push that was written anew": ("no invention", lambda s: _change(s, "assets", 1, balance="998.5")),
    "an order that never was in this state": ("no invention", lambda s: _change(s, "orders", 2, executedQty="0.25")),
    "a balance that never was": ("no invention", lambda s: _change(s, "assets", 2, balance="1")),
    "a margin call that never was": (
        "no invention",
        lambda s: s.record("margin-calls", "BINANCE", "{}", "margin-call:1:9"),
    ),
    "a push is missing outside every gap": ("in a gap", lambda s: _more_heard(s, 50)),
    "a margin call is missing outside every gap": ("in a gap", lambda s: _without(s, "margin-calls", 0)),
    "a gap begins after the first push that it lost": ("in a gap", _begun_late),
    "a gap ends before the last push that it lost": (
        "in a gap",
        lambda s: _move(s, "1-2", "gap.closed", "toMs", 10.55),
    ),
    "a gap ends before the login": ("in a gap", lambda s: _move(s, "1-2", "gap.closed", "toMs", 11)),
    "a push that stands on its topic void": ("in a gap", _void),
    "a gap was kept silent": ("in a gap", lambda s: _silent(s, "2-1")),
    "muted pushes and no gap": ("in a gap", lambda s: _silent(s, "2-2")),
    "a gap begins long before its outage": ("gap length", lambda s: _move(s, "1-2", "gap.closed", "fromMs", 6)),
    "a gap ends long after the login": ("gap length", lambda s: _move(s, "1-2", "gap.closed", "toMs", 15)),
    "a gap for no reason": ("gap length", _needless),
    "everything is a gap": ("gap length", lambda s: _move(s, "2-2", "gap.closed", "fromMs", 0)),
    "a gap from before the beginning": ("gap length", lambda s: _move(s, "1-1", "gap.closed", "fromMs", -60)),
    "the last state of an order is missing": ("last record", lambda s: _without(s, "orders", 6)),
    "an older state stands last": ("last record", _reversed),
    "a balance stands still": ("last record", lambda s: _without(s, "assets", 4)),
    "a zombie's record that is not void": ("last record", lambda s: _rename(s, "orders", -2, ce_epoch="3")),
    "a tombstone of what is there": (
        "last record",
        lambda s: s.record("assets", "BINANCE:USDT", None, "asset:gone"),
    ),
    "an open position is said to be gone": (
        "last record",
        lambda s: (
            s.at(58).push("Positions", "ETH:NONE", {"positionQty": "1"})
            and s.record("positions", "ETH:NONE", None, "x")
        ),
    ),
    "a hole in the sequence": ("sequence", lambda s: _rename(s, "trades", 3, ce_sequence=f"{9:020}")),
    "a record is gone from its topic": ("sequence", lambda s: s.topics["assets"].pop(1)),
    "a number has two records": ("sequence", lambda s: _repeat(s, "session", 0, ce_id="session:other")),
    "a gap never ends": ("gaps end", lambda s: _silence(s, "gap.closed", "2-1")),
    "a gap left open, and its successor's begins later": ("gaps end", _left_open),
    "an id that two gaps have": ("gaps end", lambda s: s.gap("1-2", 10, "link_failed")),
    "a gap ends that never began": ("gaps end", lambda s: s.end_gap("7-7", 10, 11, "link_failed")),
    "a gap ends before its trades are there": ("gaps end", _late),
    "no recovery after a login": ("recovery", lambda s: _silence(s, "recovery.complete")),
    "a session that nobody told of": ("recovery", lambda s: _silence(s, "session.opened")),
    "a place during recovery": ("gate", lambda s: _place_at(s, 12.2, 2)),
    "a place after the session was lost": ("gate", lambda s: _place_at(s, 11.5, 1)),
    "a place without a login": ("gate", lambda s: _place_at(s, 13, 9)),
    "an alarm without a cause": ("alarms", lambda s: s.say("alarm.raised", alarm="trade_conflict", detail="")),
}


@pytest.mark.parametrize("name", LIES)
def test_a_lie_is_found(name: str) -> None:
    """Each lie breaks the rule that is about it."""
    rule, tell = LIES[name]
    story = true_story()
    tell(story)
    assert rule in rules(story)


def test_what_a_reader_may_meet_is_no_lie() -> None:
    """A record twice, a push twice, a push that was late, and a void record that contradicts."""
    story = true_story()
    _repeat(story, "trades", 0)
    story.at(59).record(
        "trades", "o1", story.topics["trades"][0]["text"], story.topics["trades"][0]["headers"]["ce_id"]
    )
    assert rules(story) == set()


def test_a_gap_may_be_taken_over_by_the_next_owner() -> None:
    """Its own owner died with it open; the next owner's begins no later, and tells the end of both."""
    story = true_story()
    _left_open(story, 0)
    assert rules(story) == set()


def test_an_overtaken_snapshot_that_was_muted_is_nobodys_fault() -> None:
    """Nothing at the venue tells of it any more when the next push of its key arrives before an audit could look."""
    story = true_story()
    _more_heard(story, 50)
    story.line("FAULT", 4, fault="mute_push", channel="Orders")
    story.at(51).push("Orders", "o1", story.order("OPEN", "10"), "o1:51", heard=4)
    assert rules(story) == set()


def _change_rows(story: Story) -> None:
    """Let REST have told odd rows at some time."""
    story.line("FAULT", fault="change_rows", action="GET")


def test_what_odd_rows_spell_otherwise_is_no_lie() -> None:
    """Where REST's rows were changed, a recovered trade may spell its numbers so; a pushed one may not."""
    story = true_story()
    _change_rows(story)
    told = json.loads(story.topics["trades"][1]["text"])
    _change(story, "trades", 1, quantity=float(told["quantity"]), clientOrderId=17)
    assert rules(story) == set()
    _change(story, "trades", 0, quantity=float(told["quantity"]))
    assert "trades" in rules(story)


def test_odd_rows_excuse_no_other_value() -> None:
    """Another quantity is another trade, however odd REST's rows were."""
    story = true_story()
    _change_rows(story)
    _change(story, "trades", 1, quantity="77")
    assert "trades" in rules(story)


def test_a_clock_that_was_set_wrong_moves_moments_by_no_more() -> None:
    """A gap may seem to begin too late by as much as the clock was ahead."""
    story = true_story()
    _begun_late(story)
    story.done.append({"kind": "clock", "from_ms": BEGIN_MS, "to_ms": BEGIN_MS + 60_000, "step_ms": 600})
    assert rules(story) == set()
    story.done[-1]["step_ms"] = 10
    assert "in a gap" in rules(story)


def test_what_stood_on_a_deleted_topic_may_be_missing() -> None:
    """What was pushed before the topic was deleted; what came afterwards has to be there."""
    story = true_story()
    _without(story, "trades", 0)
    deleted = {"kind": "deleted", "topic": "trades", "from_ms": story.now_ms, "to_ms": story.now_ms}
    story.done.append(deleted)
    assert rules(story) == set()
    deleted["to_ms"] = BEGIN_MS
    assert "trades" in rules(story)


def test_a_live_state_stands_on_a_topic_that_was_made_again() -> None:
    """An order that is over may be gone with the topic, a balance may not."""
    story = true_story()
    for topic in ("orders", "assets"):
        story.topics[topic].clear()
        story.done.append({"kind": "deleted", "topic": topic, "from_ms": story.now_ms, "to_ms": story.now_ms})
    violations = check(story.recording())[0]
    assert {(one["rule"], one["witness"][0]["channel"]) for one in violations} == {("last record", "Assets")}
