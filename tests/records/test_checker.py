"""The checker finds what it is there for: an invalid record of each kind, planted among records that are right."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.records.checker import check
from tests.records.story import Story, next_of, with_header, with_value

EVENTS = {
    "orders": "",
    "trades": "",
    "assets": "balance",
    "positions": "",
    "margin-calls": "",
    "liquidations": "",
    "session": "gap.opened",
    "unrecognized": "",
    "results": "accepted",
    "dead-letters": "",
}
"""Of each topic, a word of the record that is changed."""
NAMES = [f"{stream} {word}".strip() for stream, word in EVENTS.items()]
JSON = [name for name in NAMES if name not in {"unrecognized", "dead-letters"}]
REQUIRED = ("ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "content-type", "ce_sequence", "ce_epoch")
MALFORMED = {
    "ce_specversion": b"2.0",
    "ce_id": b"",
    "ce_source": b"/ltp/sandbox/other",
    "ce_type": b"ltp.balance.v1",
    "ce_time": b"2026-11-20 08:42:36",
    "content-type": b"text/plain",
    "ce_sequence": b"1",
    "ce_epoch": b"seven",
    "ce_subject": b"somebody",
    "ce_recovered": b"false",
    "ce_note": b"nobody described it",
}
CHANGES: dict[str, tuple[str, dict[str, object], str]] = {
    "an order without its id": ("orders", {"orderId": None}, "'orderId' is a required property"),
    "an order without a state": ("orders", {"orderState": None}, "'orderState' is a required property"),
    "a trade whose side is a number": ("trades", {"side": 1}, "side: 1 is not of type 'string'"),
    "a balance without a coin": ("assets balance", {"coin": None}, "'coin' is a required property"),
    "a position without a symbol": ("positions", {"sym": None}, "'sym' is a required property"),
    "a margin call of no text": ("margin-calls", {"accountStatus": 1}, "accountStatus"),
    "a liquidation without its id": ("liquidations", {"liquidationEventId": None}, "is a required property"),
    "a gap without its beginning": ("session gap.opened", {"fromMs": None}, "not valid under any"),
    "a gap whose beginning is text": ("session gap.opened", {"fromMs": "1"}, "not valid under any"),
    "a takeover without its epoch": ("results instance", {"epoch": None}, "'epoch' is a required property"),
    "a result without an outcome": ("results accepted", {"outcome": None}, "'outcome' is a required property"),
    "an outcome that nobody told": ("results accepted", {"outcome": "filled"}, "outcome"),
    "an event to come": ("session session.opened", {"type": "session.paused"}, "type 'session.paused' is not told"),
    "a cause to come": ("session gap.opened", {"cause": "solar_flare"}, "cause 'solar_flare' is not told"),
    "an alarm to come": ("session alarm.raised", {"alarm": "fire"}, "alarm 'fire' is not told"),
    "a loss to come": ("session gap.closed", {"lost": ["time"]}, "lost 'time' is not told"),
    "a reason to come": ("results over_budget", {"reason": "mood"}, "reason 'mood' is not told"),
    "a field to come": ("results accepted", {"mood": "good"}, "the field mood is not told"),
    "another epoch than the header's": ("results instance", {"epoch": 8}, "epoch 8 under ce_epoch 7"),
    "an answer to nothing": ("results accepted", {"commandOffset": 1}, "there is no such command"),
    "an answer to somebody else": ("results accepted", {"commandId": "c-9"}, "there is no such command"),
    "a close of a gap that is not open": ("session gap.closed", {"gapId": "7-9"}, "the gap 7-9 was not opened"),
    "a session that opens twice": ("session session.lost", {"type": "session.opened", "cause": None}, "more sessions"),
}


def found(story: Story) -> str:
    """Return everything that the checker says of a story."""
    return "\n".join(map(str, check(story.records()).wrongs))


def test_nothing_is_wrong_with_the_golden_samples() -> None:
    """Every sample is a record that the bridge might have written, and the SDK reads every event."""
    verdict = check(Story().records())
    assert found(Story()) == ""
    assert verdict.empty == []
    assert verdict.parsed == len(verdict.records.events)
    assert verdict.row("results") == {"records": 9, "valid": 9, "invalid": 0, "cloudevents": 9}


@pytest.mark.parametrize("what", CHANGES)
def test_a_value_that_is_wrong(what: str) -> None:
    """A field is missing, of another type, or says what no reader was told."""
    name, changes, text = CHANGES[what]
    story = Story()
    one = story.find(name)
    story.put(one, with_value(one, **changes))
    assert text in found(story)
    assert (one.stream, one.offset) in check(story.records()).invalid


@pytest.mark.parametrize("name", JSON)
def test_a_value_that_is_no_json(name: str) -> None:
    """Not even when a key stands twice."""
    for value in (b"{", b'{"at":1,"at":2}', b"\xff", b'{"at":NaN}', b"[]"):
        story = Story()
        story.put(story.find(name), replace(story.find(name), value=value))
        assert found(story)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in {"assets balance", "positions"}])
def test_a_value_that_is_missing(name: str) -> None:
    """Only positions and balances end."""
    story = Story()
    story.put(story.find(name), replace(story.find(name), value=None))
    assert found(story)


@pytest.mark.parametrize("header", REQUIRED)
@pytest.mark.parametrize("name", NAMES)
def test_a_header_that_is_missing(name: str, header: str) -> None:
    """Each is needed on each topic."""
    story = Story()
    story.put(story.find(name), with_header(story.find(name), header, None))
    assert header in found(story)


@pytest.mark.parametrize("header", MALFORMED)
@pytest.mark.parametrize("name", NAMES)
def test_a_header_that_is_wrong(name: str, header: str) -> None:
    """Malformed, about somebody else, or one that nobody described."""
    story = Story()
    story.put(story.find(name), with_header(story.find(name), header, MALFORMED[header]))
    assert header in found(story)


def test_what_the_sdk_does_not_read() -> None:
    """An attribute that CloudEvents does not allow, a version that it does not have."""
    for header, content in (("ce_my-name", b"1"), ("ce_time", b"noon"), ("ce_type", b""), ("ce_source", b"\xff")):
        story = Story()
        one = story.find("trades")
        story.put(one, with_header(one, header, content))
        verdict = check(story.records())
        assert "the CloudEvents SDK" in found(story), header
        assert verdict.row("trades")["cloudevents"] == 0


def test_a_header_that_stands_twice() -> None:
    """Nobody could say which one counts."""
    story = Story()
    one = story.find("trades")
    story.put(one, replace(one, headers=(*one.headers, ("ce_id", b"another"))))
    assert "the header ce_id stands 2 times" in found(story)


@pytest.mark.parametrize("name", NAMES)
def test_a_key_that_is_wrong(name: str) -> None:
    """Whatever the subject says."""
    story = Story()
    one = with_header(replace(story.find(name), key=b"somebody"), "ce_subject", b"somebody")
    story.put(story.find(name), one)
    assert "key" in found(story)


@pytest.mark.parametrize("name", NAMES)
def test_a_record_that_is_missing(name: str) -> None:
    """The sequence has a hole, or does not begin with 1."""
    story = Story()
    last = story.records()[name.partition(" ")[0]][-1]
    story.put(last, with_header(last, "ce_sequence", str(last.number("ce_sequence") + 1).zfill(20).encode()))
    assert "ce_sequence" in found(story)


def test_an_epoch_that_comes_back() -> None:
    """A lower one after a higher one is void, and nobody flushes so late in a run without kills."""
    story = Story()
    one = story.find("trades")
    late = with_header(with_header(next_of(one), "ce_epoch", b"6"), "ce_sequence", b"1".zfill(20))
    story.add(late)
    assert "ce_epoch 6 follows 7" in found(story)


def test_a_term_without_takeover() -> None:
    """Its first record on `results` is none."""
    story = Story()
    one = story.find("results accepted")
    story.add(with_header(with_header(replace(one, offset=99), "ce_epoch", b"8"), "ce_sequence", b"1".zfill(20)))
    assert "a takeover record is the first of its term" in found(story)


def test_one_name_for_two_facts() -> None:
    """A trade told twice is one, if it is the same; so is a result, but not an event of the session."""
    story = Story()
    story.add(next_of(story.find("trades")))
    assert found(story) == ""
    for name, changes in (
        ("trades", {"price": "1"}),
        ("results not_found", {"message": "x"}),
        ("session owner.rel", {}),
    ):
        story = Story()
        story.add(next_of(story.find(name), **changes))
        assert "which says otherwise" in found(story), name


def _refused(story: Story) -> None:
    one = story.find("commands 01JD2Z8Q4H7V5N3M9K6T1R8W0X")
    story.put(one, with_value(one, args={**one.fields["args"], "leverage": "5"}))


def _denied(story: Story) -> None:
    one = story.find("results over_budget")
    story.put(one, with_value(one, reason="bad_schema", message="no"))


def _dead(story: Story) -> None:
    command = story.find("commands c-5")
    story.remove(story.find("results c-5"))
    letter = story.find("dead-letters")
    letter = with_header(letter, "__connect.errors.offset", str(command.offset).encode())
    letter = with_header(replace(letter, value=command.value, key=command.key), "ce_subject", command.key)
    story.put(story.find("dead-letters"), letter)


def _other_bytes(story: Story) -> None:
    one = story.find("dead-letters")
    story.put(one, replace(one, value=b"{}"))


def _no_command(story: Story) -> None:
    one = story.find("dead-letters")
    story.put(one, with_header(one, "__connect.errors.offset", b"1000"))


def _unanswered(story: Story) -> None:
    story.remove(story.find("results c-7"))


def _two_last_words(story: Story) -> None:
    story.add(next_of(story.find("results not_found")))


def _doubted_afterwards(story: Story) -> None:
    one = story.find("results not_found")
    story.add(with_header(next_of(one, outcome="unknown"), "ce_id", b"result:c-8:unknown"))


def _uncorrelated(story: Story) -> None:
    one = story.find("commands c-7")
    story.put(one, with_header(one, "correlation_id", b"desk-1"))


PLANTED: dict[str, tuple[Callable[[Story], None], str]] = {
    "a command that its schema refuses is taken": (_refused, "its schema refuses it"),
    "a command that its schema lets through is denied": (_denied, "its schema lets it through"),
    "a command is a dead letter": (_dead, "it is a command, and a dead letter"),
    "a dead letter holds other bytes": (_other_bytes, "value or key are not those of the command"),
    "a dead letter is of no command": (_no_command, "it names no command"),
    "a command has no answer": (_unanswered, "0 last words, 0 results"),
    "a command has two last words": (_two_last_words, "2 last words"),
    "a doubt follows the last word": (_doubted_afterwards, "unknown is not the first answer"),
    "a correlation id is lost": (_uncorrelated, "the command's headers ['correlation_id', 'traceparent'] came back as"),
}


@pytest.mark.parametrize("what", PLANTED)
def test_an_answer_that_is_wrong(what: str) -> None:
    """Commands and what came back for them do not fit each other."""
    plant, text = PLANTED[what]
    story = Story()
    plant(story)
    assert text in found(story)


def test_an_empty_topic_is_told() -> None:
    """A run that shows nothing of a topic has proved nothing of it."""
    story = Story()
    story.remove(story.find("liquidations"))
    assert check(story.records()).empty == ["liquidations"]
