"""Stories of commands and orders, told from records alone: what belongs to them, in which order, and their sentence."""

import pytest

from bridge.contract.topics import Stream
from bridge.inspect import story as story_module
from bridge.inspect.fate import tell_fate
from bridge.inspect.story import Story, StoryCollector, collect_story
from tests.inspect.records import BEGIN_MS, Log

SYM = "BINANCE_PERP_BTC_USDT"


def places(story: Story) -> list[str]:
    """Return where the steps are."""
    return [step.record.place for step in story.steps]


def filled() -> Log:
    """Return the log of a place that is filled in two executions, among records about others."""
    log = Log()
    log.command("p-1", "place_order", 0, sym=SYM, side="BUY", orderQty="0.003")
    log.command("p-2", "place_order", 1, sym=SYM, side="BUY", orderQty="0.003")
    log.order("11", "NEW", 10, client="p1")
    log.order("12", "NEW", 11, client="p2")
    log.result("p-1", "place_order", "accepted", 12, orderId="11", clientOrderId="p1", sentAt=BEGIN_MS + 5)
    log.result("p-2", "place_order", "accepted", 13, orderId="12", clientOrderId="p2")
    log.trade("11", "t1", "0.001", 20)
    log.order("11", "PARTIALLY_FILLED", 20, client="p1", executedQty="0.001")
    log.trade("12", "t2", "0.003", 21)
    log.trade("11", "t3", "0.002", 22)
    log.order("11", "FILLED", 22, client="p1", executedQty="0.003")
    return log


@pytest.mark.parametrize("subject", ["p-1", "11", "p1"])
def test_a_command_and_its_order_have_one_story(subject: str) -> None:
    """It begins with the command, by whichever name it is asked for, and has nothing of others."""
    story = collect_story(subject, filled().records)
    assert places(story) == [
        *("commands@0", "orders@0", "results@0", "orders@2", "trades@0", "orders@3", "trades@2"),
    ]
    assert tell_fate(story) == "place_order p-1 accepted after 12 ms; order 11 FILLED 0.003 of 0.003 in 2 fills"


def test_nothing_is_known_of_another_name() -> None:
    """Part of an id is none."""
    for subject in ("p-3", "p", "1", ""):
        assert collect_story(subject, filled().records).steps == ()


def test_repeated_executions_count_once() -> None:
    """A trade that REST had too has the same `ce_id`."""
    log = filled()
    log.trade("11", "t1", "0.001", 30)
    assert tell_fate(collect_story("p-1", log.records)).endswith("order 11 FILLED 0.003 of 0.003 in 2 fills")


def doubted() -> Log:
    """Return the log of a place whose owner dies after the write; its successor answers."""
    log = Log()
    log.session("owner.acquired", -100, epoch=1, instance="a:1")
    log.command("p-1", "place_order", 0, sym=SYM)
    log.session("alarm.raised", 1, alarm="clock_skew", detail="of another matter")
    log.epoch = 2
    log.session("owner.acquired", 6000, epoch=2, instance="b:1")
    log.session("gap.opened", 6000, gapId="2-1", fromMs=1, cause="owner_changed", detail="")
    log.result("p-1", "place_order", "unknown", 6001, message="claimed by an earlier owner, which left no result")
    log.epoch = 1
    log.result("p-1", "place_order", "rejected", 6002, code=401078)
    log.epoch = 2
    log.result("p-1", "place_order", "accepted", 6010, orderId="11", clientOrderId="p1")
    log.order("11", "OPEN", 6011, client="p1", recovered=True)
    return log


def test_what_a_dead_owner_left_is_told_with_its_successor() -> None:
    """The change of owner is in the story, the void word of the dead one is in it and does not count."""
    story = collect_story("p-1", doubted().records)
    assert places(story) == [
        *("commands@0", "session@2", "session@3", "results@0", "results@1", "results@2", "orders@0"),
    ]
    assert [step.record.marks for step in story.steps if step.record.marks] == [("void",), ("recovered",)]
    assert tell_fate(story) == (
        "place_order p-1 accepted after 6.0 s; order 11 still OPEN 0 of 0.003; in doubt from 2026-11-20T08:42:42.001Z "
        "at the latest, when a new owner found it without a result, to 2026-11-20T08:42:42.010Z; meanwhile the account "
        "had a new owner (epoch 2); 1 gap opened"
    )


def test_an_answer_that_was_lost_is_doubt_of_known_length() -> None:
    """The owner that wrote it says since when, and a session that was lost explains it."""
    log = Log()
    log.command("p-1", "place_order", 0, sym=SYM)
    log.session("session.lost", 5, endpoint="AZ4", cause="link_failed", detail="cut")
    log.result("p-1", "place_order", "unknown", 5, sentAt=BEGIN_MS + 3, clientOrderId="p1")
    assert tell_fate(collect_story("p1", log.records)) == (
        "place_order p-1 not decided yet; in doubt since 2026-11-20T08:42:36.005Z; the session was lost 1 time"
    )
    log.session("session.lost", 900, endpoint="AZ4", cause="link_failed", detail="cut")
    log.result("p-1", "place_order", "not_found", 1205, sentAt=BEGIN_MS + 3, clientOrderId="p1")
    log.session("session.lost", 1300, endpoint="AZ4", cause="link_failed", detail="cut")
    assert tell_fate(collect_story("p1", log.records)) == (
        "place_order p-1 not_found after 1.2 s; in doubt from 2026-11-20T08:42:36.005Z, to 2026-11-20T08:42:37.205Z "
        "(1.2 s); the session was lost 2 times"
    )


def replaced(*, by_new_order: bool) -> Log:
    """Return the log of an order that is replaced twice, once in vain, and then cancelled."""
    second = "22" if by_new_order else "21"
    log = Log()
    log.command("p-1", "place_order", 0, sym=SYM, clientOrderId="mine")
    log.result("p-1", "place_order", "accepted", 1, orderId="21", clientOrderId="mine")
    log.order("21", "OPEN", 2, client="mine")
    log.command("r-1", "replace_order", 10, orderId="21", replacePrice="2")
    log.result("r-1", "replace_order", "accepted", 11, orderId="21", clientOrderId="mine")
    if by_new_order:
        log.order("21", "CANCELLED", 12, client="mine")
    log.order(second, "OPEN", 12, client="mine", limitPrice="2")
    log.command("r-2", "replace_order", 20, clientOrderId="mine", replacePrice="-1")
    log.result("r-2", "replace_order", "rejected", 21, code=401002, orderId=second, clientOrderId="mine")
    log.command("x-1", "cancel_order", 30, orderId=second)
    log.result("x-1", "cancel_order", "accepted", 31, orderId=second, clientOrderId="mine")
    log.order(second, "CANCELLED", 32, client="mine")
    return log


@pytest.mark.parametrize("subject", ["p-1", "21", "mine", "22", "r-1", "x-1"])
def test_an_order_that_a_replace_made_is_in_the_story_of_the_first(subject: str) -> None:
    """And the other way round: predecessor, successor, and every command on either, by any name."""
    log = replaced(by_new_order=True)
    story = collect_story(subject, log.records)
    assert [step.record for step in story.steps] == log.records
    told = tell_fate(story)
    assert "order 21 CANCELLED 0 of 0.003; continued as order 22 CANCELLED 0 of 0.003" in told
    if subject not in {"r-1", "x-1"}:
        assert told.startswith("place_order p-1 accepted after 1 ms; order 21")
        assert told.endswith("replaced once by r-1; cancelled by x-1; replace_order r-2 rejected (code 401002)")


def test_an_order_that_keeps_its_id_is_told_as_one() -> None:
    """The usual replace."""
    told = tell_fate(collect_story("21", replaced(by_new_order=False).records))
    assert told == (
        "place_order p-1 accepted after 1 ms; order 21 CANCELLED 0 of 0.003; replaced once by r-1; cancelled by x-1; "
        "replace_order r-2 rejected (code 401002)"
    )


def test_a_cancel_comes_first_in_its_own_sentence() -> None:
    """Who asks for a command wants to know of it."""
    told = tell_fate(collect_story("x-1", replaced(by_new_order=False).records))
    assert told.startswith("cancel_order x-1 accepted after 1 ms; order 21 CANCELLED 0 of 0.003; replaced once by r-1")
    assert "place_order p-1 accepted" in told


def test_a_client_order_id_that_is_used_again_is_not_a_replacement() -> None:
    """Some venues take a name again when its order has ended."""
    log = Log()
    log.order("31", "FILLED", 0, client="again")
    log.order("32", "NEW", 10, client="again")
    told = tell_fate(collect_story("31", log.records))
    assert told == "order 31 FILLED 0 of 0.003; then, under the same clientOrderId, order 32 still NEW 0 of 0.003"


def test_a_denied_name_leads_to_no_other_order() -> None:
    """A place that is denied because its clientOrderId is in use does not have that order."""
    log = filled()
    log.command("p-9", "place_order", 30, sym=SYM, clientOrderId="p1")
    log.result("p-9", "place_order", "denied", 31, reason="client_order_id_in_use", clientOrderId="p1")
    story = collect_story("p-9", log.records)
    assert places(story) == ["commands@2", "results@2"]
    assert tell_fate(story) == "place_order p-9 denied (client_order_id_in_use) after 1 ms"
    assert "place_order p-9 denied" in tell_fate(collect_story("p-1", log.records))


def test_a_command_without_a_result_leads_to_its_order() -> None:
    """It waits, or its answer is still on its way."""
    log = Log()
    log.order("41", "OPEN", 0, client="c41")
    log.command("x-1", "cancel_order", 10, orderId="41")
    told = tell_fate(collect_story("x-1", log.records))
    assert told == "cancel_order x-1 without a result yet; order 41 still OPEN 0 of 0.003"


def test_a_repeated_command_is_shown_with_each_record() -> None:
    """The same answer again, under the same `ce_id`; and another body of its id, which is a dead letter."""
    log = Log()
    log.command("p-1", "place_order", 0, sym=SYM)
    log.result("p-1", "place_order", "expired", 1, clientOrderId="p1")
    offset = log.command("p-1", "place_order", 10, sym=SYM)
    log.result("p-1", "place_order", "expired", 11, clientOrderId="p1", repeated=True, commandOffset=offset)
    offset = log.command("p-1", "cancel_orders", 20, exchangeType="ALL")
    value = {"commandId": "p-1", "action": "cancel_orders"}
    headers = {"__connect.errors.offset": str(offset), "error_code": "id_conflict"}
    log.add(Stream.DEAD_LETTERS, value, 21, **headers)
    story = collect_story("p-1", log.records)
    assert len(story.steps) == 6
    assert [step.record.is_repeated for step in story.steps] == [False, False, False, True, False, False]
    assert tell_fate(story) == (
        "place_order p-1 expired after 1 ms, submitted 3 times, once as a dead letter (id_conflict)"
    )


def test_a_dead_letter_is_found_by_the_offset_of_its_command() -> None:
    """One that is too large has no value that could name it."""
    log = Log()
    offset = log.command("p-1", "place_order", 0, sym=SYM)
    log.add(Stream.DEAD_LETTERS, "", 1, **{"__connect.errors.offset": str(offset), "error_code": "too_large"})
    assert places(collect_story("p-1", log.records)) == ["commands@0", "dead-letters@0"]
    headers = {"__connect.errors.offset": "99", "error_code": "bad_schema"}
    log.add(Stream.DEAD_LETTERS, {"commandId": "p-7"}, 2, **headers)
    assert tell_fate(collect_story("p-7", log.records)) == (
        "command p-7 a dead letter (bad_schema) (its record is older than what was read)"
    )


def test_a_cancel_of_everything_explains_the_end_of_an_order() -> None:
    """If its scope has the order's exchange, and it came while the order was there."""
    log = Log()
    log.command("all-0", "cancel_orders", -10, exchangeType="ALL")
    log.order("51", "OPEN", 0, client="c51")
    log.command("okx", "cancel_orders", 5, exchangeType="OKX")
    log.command("all-1", "cancel_orders", 6, exchangeType="BINANCE")
    log.order("51", "CANCELLED", 8, client="c51")
    log.result("all-1", "cancel_orders", "accepted", 8)
    log.command("all-2", "cancel_orders", 20, exchangeType="ALL")
    story = collect_story("51", log.records)
    assert places(story) == ["orders@0", "commands@2", "orders@1", "results@0"]
    assert tell_fate(story) == "order 51 CANCELLED 0 of 0.003; within reach of cancel_orders all-1"


def test_the_story_of_a_cancel_of_everything_is_its_own() -> None:
    """It names no order, so it leads to none."""
    log = Log()
    log.order("51", "OPEN", 0)
    log.command("all-1", "cancel_orders", 6, exchangeType="BINANCE")
    log.result("all-1", "cancel_orders", "accepted", 8, message="0 orders left")
    story = collect_story("all-1", log.records)
    assert places(story) == ["commands@0", "results@0"]
    assert tell_fate(story) == "cancel_orders all-1 accepted after 2 ms"


def test_an_alarm_that_names_the_command_belongs_to_it() -> None:
    """Also after its end: an order that lands late."""
    log = Log()
    log.command("p-1", "place_order", 0, sym=SYM)
    log.result("p-1", "place_order", "not_found", 5, clientOrderId="p1")
    log.session("alarm.raised", 90, alarm="late_landed", detail="order 61 of p-1, which was answered not_found")
    log.session("alarm.raised", 91, alarm="late_landed", detail="order 62 of p-11")
    assert places(collect_story("p-1", log.records)) == ["commands@0", "results@0", "session@0"]


def test_executions_alone_tell_what_they_can() -> None:
    """The states of the order are older than what was read."""
    log = Log()
    log.trade("71", "t1", "0.1", 0)
    log.trade("71", "t2", "x", 1)
    assert tell_fate(collect_story("71", log.records)) == "order 71 executed 0.1 in 2 fills; no state of it was read"


def test_a_result_whose_command_is_older_says_so() -> None:
    """The time span began after the command."""
    log = Log()
    log.result("p-1", "place_order", "accepted", 0, orderId="81", clientOrderId="p1")
    assert tell_fate(collect_story("p-1", log.records)) == (
        "place_order p-1 accepted (its record is older than what was read)"
    )


def test_an_order_with_thousands_of_commands_is_collected() -> None:
    """A desk that moves its quote all day."""
    log = Log()
    log.order("91", "OPEN", 0, client="c91")
    for number in range(3000):
        log.command(f"r-{number}", "replace_order", number, orderId="91", replacePrice="1")
        log.result(f"r-{number}", "replace_order", "accepted", number, orderId="91", clientOrderId="c91")
    story = collect_story("c91", log.records)
    assert len(story.steps) == 6001
    assert "replaced 3000 times" in tell_fate(story)


def test_more_records_than_are_kept_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first ones stay, and the story says so."""
    monkeypatch.setattr(story_module, "_RECORDS_MAX", 3)
    story = collect_story("11", filled().records)
    assert story.is_cut
    assert len(story.steps) == 3


def test_passes_end_when_nothing_new_is_found() -> None:
    """A command takes one more pass than the names that it leads to."""
    collector, passes = StoryCollector("p-1"), 0
    while True:
        collector.begin_pass()
        passes += 1
        for record in filled().records:
            collector.take(record)
        if not collector.end_pass():
            break
    assert passes == 2
