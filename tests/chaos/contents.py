"""The rules about what stands on the topics: every trade, nothing invented, and the last record of each key."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from tests.chaos.ledger import PushLedger
from tests.chaos.spelling import differences
from tests.witness.epochs import last_of_each_key
from tests.witness.ledger import Push, is_over, trade_identity
from tests.witness.record import STATES, Record
from tests.witness.request import Entry
from tests.witness.violation import Violation, violation

Topics = dict[str, list[Record]]

STREAMS = ("orders", "trades", "assets", "positions", "margin-calls", "liquidations", "session", "unrecognized")
"""What the checker reads; commands and their answers are the crash test's."""

_MOVES_WITH_PRICES = {
    "assets": ("equity", "indexPrice", "marginValue", "equityValue", "upnl"),
    "positions": (
        "positionValue",
        "positionMM",
        "unrealizedPNL",
        "unrealizedPNLRate",
        "markPrice",
        "liqPrice",
    ),
    "orders": (),
}
"""Fields that prices move without a push: a later row tells other ones of the same state."""
_ONLY_PUSHED = ("action", "actionMsg")
"""Fields of an order that the venue's history does not tell: they are empty or missing in what it gives back."""


def trades_once(topics: Topics, ledger: PushLedger) -> Iterator[Violation]:
    """Want the trades of the ledger, each under one id, and in every record of it each field as it was pushed."""
    made = {event.identity: event for event in ledger.of_topic("trades")}
    names: dict[str, set[str]] = defaultdict(set)
    identity_of: dict[str, str] = {}
    for record in topics["trades"]:
        identity = trade_identity(record.fields)
        event = made.get(identity)
        if event is None:
            yield violation("trades", "a trade that the venue never made", record.witness())
            continue
        names[identity].add(record.event_id)
        if identity_of.setdefault(record.event_id, identity) != identity:
            yield violation("trades", "an id that another trade has", record.witness(), event.witness())
        if wrong := differences(event.row, record, ledger):
            why = f"another trade than was pushed: {wrong}"
            yield violation("trades", why, record.witness(), event.witness())
        elif not record.is_recovered and record.text != event.text:
            yield violation("trades", "a push whose bytes were changed", record.witness(), event.witness())
    for identity, event in made.items():
        if not names[identity]:
            if ledger.is_deleted(event):
                continue
            yield violation("trades", "missing", event.witness())
        elif len(names[identity]) > 1:
            yield violation("trades", f"one trade under {sorted(names[identity])}", event.witness())


def nothing_invented(topics: Topics, ledger: PushLedger) -> Iterator[Violation]:
    """Want every push to be one that was made, byte for byte, and every recovered state to be one that was."""
    for topic in ("orders", "assets", "positions", "margin-calls", "liquidations"):
        pushed = {event.text for event in ledger.of_topic(topic)}
        states = ledger.by_key(topic)
        for record in topics[topic]:
            if record.is_tombstone:
                continue
            if not record.is_recovered:
                if record.text not in pushed:
                    yield violation("no invention", "a push that the venue never made", record.witness())
            elif topic in STATES and not _was(topic, record, states.get(record.name, ()), ledger):
                yield violation("no invention", "a recovered state that never was", record.witness())


def _was(topic: str, record: Record, states: Iterable[Push], ledger: PushLedger) -> bool:
    known = list(states)
    if not known:
        # What nothing has happened to was never pushed; an order always was.
        return topic != "orders"
    if any(not _differences(topic, event.row, record, ledger) for event in known):
        return True
    return _is_from_before(topic, record, known)


def _is_from_before(topic: str, record: Record, states: list[Push]) -> bool:
    """Tell whether a balance is one from before its first push."""
    return topic == "assets" and str(record.fields.get("updateAt")) < str(states[0].row.get("updateAt"))


def _differences(topic: str, row: dict[str, Any], record: Record, ledger: PushLedger) -> Entry:
    """Return in what a record differs from a push, prices aside."""
    passed_over = set(_MOVES_WITH_PRICES[topic])
    if record.is_recovered and topic == "orders":
        passed_over |= {name for name in _ONLY_PUSHED if not record.fields.get(name)}
    return {name: both for name, both in differences(row, record, ledger).items() if name not in passed_over}


def _is_over(event: Push) -> bool:
    """Tell whether nobody publishes the state again once its topic was deleted."""
    return is_over(event.row) or event.row.get("positionQty") == "0"


def last_record_is_true(topics: Topics, ledger: PushLedger) -> Iterator[Violation]:
    """Want the last record of each key to be the venue's last state of it."""
    for topic in STATES:
        last = last_of_each_key(topics[topic])
        final = {key: events[-1] for key, events in ledger.by_key(topic).items()}
        for key, event in final.items():
            record = last.get(key)
            if record is None:
                if not (ledger.is_deleted(event) and _is_over(event)):
                    yield violation("last record", "none", event.witness())
            elif record.is_tombstone:
                if topic != "positions" or event.row.get("positionQty") != "0":
                    yield violation("last record", "a tombstone of what is there", record.witness(), event.witness())
            elif wrong := _differences(topic, event.row, record, ledger):
                yield violation("last record", f"not the last state: {wrong}", record.witness(), event.witness())
        for key in last.keys() - final.keys():
            if topic == "orders" or not last[key].is_recovered:
                yield violation("last record", "of a key that the venue never named", last[key].witness())
