"""The checker finds what it is there for: each kind of broken promise, planted into a history that was right."""

import json
from typing import Any

from tests.crash.checker import check
from tests.crash.story import (
    CANCEL,
    CONFLICT,
    DENIED,
    GARBAGE,
    LOST,
    PLACE,
    REFUSED,
    REPEAT,
    REPLACE,
    Story,
    order_args,
    quiet_day,
)


def rules(story: Story) -> set[str]:
    """Return the rules that a history breaks."""
    return {violation["rule"] for violation in check(story.history())[0]}


def without_results_of(story: Story, offset: int) -> Story:
    """Take the results of one command out of a story."""
    story.results = [one for one in story.results if json.loads(one["text"]).get("commandOffset") != offset]
    return story


def answered(story: Story, offset: int, outcome: str, code: int | None = None) -> Story:
    """Let a command be answered otherwise than it was."""
    without_results_of(story, offset).result(2, offset, outcome, code)
    return story


def test_a_quiet_day_breaks_no_rule() -> None:
    """A history that is right has no violation, and everything in it was counted."""
    violations, facts = check(quiet_day().history())
    assert violations == []
    assert facts["commands"] == 9
    assert facts["sent"] == {"place_order": 2, "replace_order": 1, "cancel_order": 1, "cancel_orders": 1}


def test_what_arrives_twice_is_found() -> None:
    """A place, a replace or a cancel_orders whose request arrives again, by the same owner or the next."""
    for offset in (PLACE, REPLACE, LOST):
        story = quiet_day()
        story.request(2, offset, 401009)
        assert "sent once" in rules(story)


def test_a_cancel_may_arrive_twice() -> None:
    """It is safe to repeat."""
    story = quiet_day()
    story.request(2, CANCEL, 401117, attempt=2)
    assert rules(story) == set()


def test_a_cancel_orders_may_arrive_again_that_came_too_often() -> None:
    """The first time it did nothing; a place that is refused for its rate comes no second time."""
    for action, expected in (("cancel_orders", set()), ("place_order", {"sent once"})):
        story = quiet_day()
        args = {"exchangeType": "EDX"} if action == "cancel_orders" else order_args("d")
        asked = story.command("asked", action, args)
        story.request(2, asked, 100429)
        story.request(2, asked, attempt=2)
        story.result(2, asked, "accepted", 200000)
        assert rules(story) == expected


def test_a_place_that_arrives_twice_under_other_request_ids_is_found() -> None:
    """The clientOrderId tells, whatever the daemon calls its request."""
    story = quiet_day()
    again = story.command("again", "place_order", order_args("a"))
    story.request(2, again, 401009)
    story.result(2, again, "rejected", 401009)
    assert rules(story) == {"sent once"}


def test_a_request_that_is_not_what_was_asked_is_found() -> None:
    """Other values, or a request for no command at all."""
    story = quiet_day()
    asked = story.command("asked", "place_order", order_args("d"))
    story.request(2, asked, args={**order_args("d"), "orderQty": "10"})
    story.result(2, asked, "accepted", 200000)
    assert rules(story) == {"sent once"}
    story = quiet_day()
    story.frame(2, {"id": "nobody", "action": "cancel_order", "args": {"orderId": "id-a"}}, 401117)
    assert "sent once" in rules(story)


def test_a_missing_result_is_found() -> None:
    """None at all, or only `unknown`."""
    assert rules(without_results_of(quiet_day(), PLACE)) >= {"answered once"}
    assert rules(answered(quiet_day(), LOST, "unknown")) == {"answered once"}


def test_a_second_result_is_found_unless_it_is_void() -> None:
    """Two terminal results break the promise; one of a lower epoch behind a higher one does not count."""
    story = quiet_day()
    story.result(1, PLACE, "accepted", 200000)
    assert rules(story) == set()
    story.result(2, PLACE, "accepted", 200000)
    assert rules(story) == {"answered once"}


def test_the_same_publication_twice_is_one_result() -> None:
    """A producer that was replaced may publish again under the same epoch and sequence."""
    story = quiet_day()
    story.results.append({**story.results[-1], "offset": len(story.results)})
    assert rules(story) == set()


def test_unknown_behind_the_last_word_is_found() -> None:
    """`unknown` may come before the terminal result, never after it."""
    story = quiet_day()
    story.result(2, LOST, "unknown")
    assert rules(story) == {"answered once"}


def test_a_repeat_with_another_answer_is_found() -> None:
    """The same command again gets the first outcome."""
    assert rules(answered(quiet_day(), REPEAT, "denied")) == {"repeats agree"}


def test_wrong_dead_letters_are_found() -> None:
    """One is missing, one is there twice, or one stands for a command that has its answer."""
    for offset in (CONFLICT, GARBAGE):
        story = quiet_day()
        story.dead_letters = [one for one in story.dead_letters if one["headers"][_OFFSET] != str(offset)]
        assert rules(story) == {"dead letters"}
    story = quiet_day()
    story.dead_letter(GARBAGE)
    story.dead_letter(PLACE)
    assert len(check(story.history())[0]) == 2


def test_a_result_for_what_is_a_dead_letter_is_found() -> None:
    """A conflict keeps the one answer of the command it conflicts with."""
    story = quiet_day()
    story.result(2, CONFLICT, "accepted", 200000)
    assert rules(story) == {"answered once"}


def test_untrue_results_are_found() -> None:
    """Accepted, rejected, unsent or not found: each is held against the venue's verdict."""
    lies: list[tuple[int, str, int | None]] = [
        (REFUSED, "accepted", 200000),
        (REFUSED, "rejected", 401055),
        (PLACE, "rejected", 401048),
        (REFUSED, "expired", None),
        (REFUSED, "denied", None),
        (REPLACE, "superseded", None),
        (PLACE, "not_found", None),
        (DENIED, "accepted", 200000),
    ]
    for offset, outcome, code in lies:
        assert "true" in rules(answered(quiet_day(), offset, outcome, code))


def test_a_rejected_cancel_that_cancelled_is_found() -> None:
    """A repeat may be refused because the first request was carried out: then the cancel was accepted."""
    story = quiet_day()
    story.request(2, CANCEL, 401117, attempt=2)
    assert rules(answered(story, CANCEL, "rejected", 401117)) == {"true"}


def test_a_cancel_that_an_earlier_owner_may_have_sent_is_accepted_with_its_order_cancelled() -> None:
    """Nobody can know that it was not sent; one that the owner itself read must have been."""
    for heir in (True, False):
        story = quiet_day()
        story.order("b2", "CANCELLED")
        if not heir:
            story.owner(3)
        cancel = story.command("cancel b2", "cancel_order", {"clientOrderId": "b2"})
        if heir:
            story.owner(3)
        story.request(3, cancel, 401117)
        story.result(3, cancel, "accepted")
        assert rules(story) == (set() if heir else {"true"})


def test_a_cancel_whose_first_request_had_no_answer_is_accepted_with_its_order_cancelled() -> None:
    """Nobody can know that the venue had not heard it, and somebody else has cancelled the order."""
    for heard in (True, False):
        story = quiet_day()
        story.order("b2", "CANCELLED")
        story.owner(3)
        cancel = story.command("cancel b2", "cancel_order", {"clientOrderId": "b2"})
        story.request(3, cancel, 401117 if heard else None)
        story.request(3, cancel, 401117, attempt=2)
        story.result(3, cancel, "accepted")
        assert rules(story) == ({"true"} if heard else set())


def test_an_accepted_cancel_whose_order_lives_on_is_found() -> None:
    """The order that has the name in the end counts, not one that had it before."""
    story = quiet_day()
    story.order("a", "OPEN", order_id="id-a-2")
    assert rules(story) == {"true"}
    story.order("a", "CANCELLED", order_id="id-a-2")
    assert rules(story) == set()


def test_offsets_of_two_topics_are_told_apart() -> None:
    """A topic that was made again has the old offsets: the epoch of an answer or request says which topic is meant."""
    story = quiet_day()
    story.make_commands_again(lowest_epoch=3)
    story.owner(3)
    again = story.command("again", "place_order", order_args("again"))
    story.request(3, again)
    story.result(3, again, "accepted", 200000)
    assert rules(story) == set()
    story.request(3, again, attempt=2)
    assert rules(story) == {"sent once"}


def test_excuses_that_cannot_be_true_are_found() -> None:
    """Expired too early, an unknown order that the venue has, a clientOrderId in use that nobody else uses."""
    story = quiet_day()
    story.result(2, story.command("early", "place_order", order_args("d")), "expired")
    assert rules(story) == {"true"}
    story = quiet_day()
    replace = story.command("replace 2", "replace_order", {"clientOrderId": "a", "replacePrice": "103"})
    story.result(2, replace, "denied", reason="unknown_order")
    assert rules(story) == {"true"}
    story = quiet_day()
    story.result(2, story.command("d", "place_order", order_args("d")), "denied", reason="client_order_id_in_use")
    assert rules(story) == {"true"}


def test_what_was_superseded_by_nothing_is_found() -> None:
    """There is a later cancel of it, and that was answered afterwards."""
    story = quiet_day()
    place = story.command("d", "place_order", order_args("d"))
    cancel = story.command("cancel d", "cancel_order", {"clientOrderId": "d"})
    story.result(2, place, "superseded")
    story.result(2, cancel, "superseded")
    assert rules(story) == set()
    without_results_of(story, place).result(2, place, "superseded")
    story.results.sort(key=lambda record: int(record["headers"]["ce_sequence"]))
    for at, record in enumerate(story.results):
        record["offset"] = at
    assert rules(story) == {"removed"}


def test_a_cancel_may_be_answered_unsent_although_another_owner_sent_it() -> None:
    """For a cancel these outcomes speak of the owner that answers."""
    assert rules(answered(quiet_day(), CANCEL, "denied")) == set()


def test_an_accepted_cancel_orders_that_left_an_order_is_found() -> None:
    """Finished by single cancels, it leaves nothing open that is older; what is newer may live."""
    story = quiet_day()
    newer = story.command("newer", "place_order", order_args("n"))
    story.request(2, newer)
    story.order("n", "OPEN")
    story.result(2, newer, "accepted", 200000)
    assert rules(story) == set()
    story.order("a", "OPEN")
    assert rules(story) == {"true"}


def test_a_late_write_is_found() -> None:
    """A request that arrives after its validity, and by how much at worst."""
    story = quiet_day()
    late = story.command("late", "place_order", order_args("l"), valid_s=5)
    story.wait(6)
    story.request(2, late)
    story.result(2, late, "accepted", 200000)
    violations, facts = check(story.history())
    assert [one["rule"] for one in violations] == ["in time"]
    assert facts["worst_lateness_ms"] == 3000


def test_a_wrong_watermark_is_found() -> None:
    """It must reach the end of the commands, and nothing may be left claimed."""
    for wrong in ({"offset": 3, "metadata": "ltpb1:2:0:0:1:"}, {"offset": 9, "metadata": "ltpb1:2:0:0:1:AA"}):
        story = quiet_day()
        story.committed = wrong
        assert rules(story) == {"watermark"}


def test_commands_of_an_order_out_of_sequence_are_found() -> None:
    """A replace that arrives behind the later cancel of its order."""
    story = quiet_day()
    first = story.command("x", "replace_order", {"orderId": "id-a", "replacePrice": "102"})
    second = story.command("y", "cancel_order", {"clientOrderId": "a"})
    story.request(2, second, 401117)
    story.request(2, first, 401117)
    story.result(2, first, "rejected", 401117)
    story.result(2, second, "rejected", 401117)
    assert rules(story) == {"in order"}


def test_a_place_from_before_a_cancel_orders_is_found() -> None:
    """What a cancel_orders should have ended must not come after it."""
    story = quiet_day()
    place = story.command("x", "place_order", order_args("d"))
    sweep = story.command("y", "cancel_orders", {"exchangeType": "BINANCE"})
    story.request(2, sweep)
    story.result(2, sweep, "accepted", 200000)
    story.request(2, place)
    story.result(2, place, "accepted", 200000)
    assert rules(story) == {"in order"}


def test_an_owner_that_sends_after_its_successor_is_found() -> None:
    """Once a later epoch has sent something, no earlier one does; and no epoch begins twice."""
    story = quiet_day()
    new, old = (story.command(name, "place_order", order_args(name)) for name in ("d", "e"))
    story.request(2, new)
    story.request(1, old)
    for offset in (new, old):
        story.result(2, offset, "accepted", 200000)
    assert rules(story) == {"fenced"}
    story = quiet_day()
    story.owner(2)
    assert rules(story) == {"fenced"}


def test_too_many_requests_are_found() -> None:
    """More than the venue's limit counted in 60 s."""
    story = quiet_day()
    story.wait(60)
    story.log_in(3)
    count: dict[str, Any] = {**story.ledger[-1], "kind": "COUNT", "facts": {"action": "replace_order", "api_key": "k"}}
    story.ledger += [count] * 300
    assert rules(story) == set()
    story.ledger.append(count)
    assert rules(story) == {"within limits"}


def test_logins_too_close_are_found() -> None:
    """Two logins of one key within a second."""
    story = quiet_day()
    story.log_in(3)
    story.wait(-0.5)
    story.log_in(3)
    assert rules(story) == {"logins apart"}


def test_a_place_before_the_sweep_is_found() -> None:
    """On a session whose open orders nobody has asked for, or that was not said to be open yet."""
    story = quiet_day()
    early = story.command("early", "place_order", order_args("d"))
    story.log_in(2)
    story.request(2, early)
    story.result(2, early, "accepted", 200000)
    assert rules(story) == {"swept first"}
    story = quiet_day()
    told = json.loads(story.session[0]["text"])
    story.session[0]["text"] = json.dumps({**told, "at": told["at"] + 60_000})
    assert rules(story) == {"swept first"}


def test_a_lost_word_on_the_session_is_no_violation() -> None:
    """A daemon that dies right after may not have got it out; that it swept is in the ledger."""
    story = quiet_day()
    story.session.clear()
    assert rules(story) == set()


def test_own_cancels_end_only_what_a_cancel_orders_should_have() -> None:
    """An order that is newer than every cancel_orders, or that is not ours, is nobody's to cancel."""
    story = quiet_day()
    story.frame(2, {"id": "2y0", "action": "cancel_order", "args": {"orderId": "id-a"}}, 401117)
    assert rules(story) == set()
    newer = story.command("newer", "place_order", order_args("n"))
    story.request(2, newer)
    story.result(2, newer, "accepted", 200000)
    story.frame(2, {"id": "2y1", "action": "cancel_order", "args": {"orderId": "id-n"}})
    assert rules(story) == {"own cancels"}


def test_an_invented_order_is_found() -> None:
    """An order on the topic that the venue never had."""
    story = quiet_day()
    story.order("z", "OPEN")
    story.ledger.pop()
    assert rules(story) == {"orders exist"}


_OFFSET = "__connect.errors.offset"
