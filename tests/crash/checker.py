"""The independent checker: tells from the topics and the venue's ledger alone whether every promise was kept.

It shares no code with the bridge and knows what a reader of the contract knows, and the form of our request ids
(tests/witness/request.py). Its input is one history as plain JSON:

- `commands`, `results`, `dead-letters`, `session`, `orders`: the plain form of each record (tests/witness/record.py);
- `ledger`: the lines of the venue's ledger;
- `committed`: offset and metadata that the group has committed at the end; `end`: where `commands` ends;
- `incarnations`, and for each command its `incarnation`: the topics that had the name of `commands` (incarnations.py).

A violation names its rule, why it is broken, and the smallest witness: ids, offsets, epochs.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from tests.crash import rules
from tests.crash.answers import STREAMS, Answer, Command, read_answers, read_commands, without_void
from tests.crash.incarnations import number_offsets_through
from tests.crash.ledger import OrderLedger
from tests.witness.ledger import is_over
from tests.witness.record import Record
from tests.witness.request import SUCCESS
from tests.witness.violation import Violation, violation

_UNSENT = ("denied", "expired", "superseded")
_DEAD_LETTER_OFFSET = "__connect.errors.offset"


def check(history: dict[str, Any]) -> tuple[list[Violation], dict[str, Any]]:
    """Return every violation, and what was counted on the way."""
    history = number_offsets_through(history)
    ledger = OrderLedger(history["ledger"])
    topics = {stream: [Record.from_plain(stream, one) for one in history[stream]] for stream in STREAMS}
    commands = read_commands(topics["commands"])
    valid = without_void(topics["results"])
    answers = read_answers(valid)
    last = {answer.offset: answer for answer in reversed(answers) if answer.is_last}
    violations = [
        *_answered_once(commands, answers),
        *_repeats_agree(commands, last),
        *_dead_letters(commands, topics["dead-letters"]),
        *_true(commands, last, ledger),
        *_removed(commands, last, ledger),
        *_watermark(history),
        *rules.sent_once(commands, ledger),
        *rules.own_cancels(commands, ledger),
        *rules.in_time(commands, ledger),
        *rules.in_order(commands, ledger),
        *rules.fenced(valid, ledger),
        *rules.within_limits(ledger),
        *rules.logins_apart(ledger),
        *rules.swept_first(topics["session"], ledger),
        *rules.orders_exist(topics["orders"], ledger),
    ]
    facts = {
        "commands": len(commands),
        "outcomes": dict(Counter(answer.outcome for answer in last.values())),
        "sent": dict(Counter(request.action for request in ledger.requests)),
        "void": len(topics["results"]) - len(valid),
        "worst_lateness_ms": rules.worst_lateness_ms(commands, ledger),
    }
    return violations, facts


def _answered_once(commands: dict[int, Command], answers: list[Answer]) -> Iterator[Violation]:
    """Want exactly one terminal result for each command, and no `unknown` behind it."""
    of_offset: dict[int, list[Answer]] = defaultdict(list)
    for answer in answers:
        of_offset[answer.offset].append(answer)
        if answer.offset not in commands:
            yield violation("answered once", "a result for an offset that holds no command", answer.witness())
    for offset, command in commands.items():
        ends = [answer for answer in of_offset[offset] if answer.is_last]
        witness = [one.witness() for one in of_offset[offset]]
        if command.wants_dead_letter:
            if of_offset[offset]:
                why = f"a result for a command that is {command.kind}"
                yield violation("answered once", why, command.witness(), *witness)
            continue
        if len(ends) != 1:
            why = f"{len(ends)} terminal results" if ends else "no terminal result"
            yield violation("answered once", why, command.witness(), *witness)
        elif of_offset[offset][-1] is not ends[0]:
            yield violation("answered once", "`unknown` after the last word", command.witness(), *witness)


def _repeats_agree(commands: dict[int, Command], last: dict[int, Answer]) -> Iterator[Violation]:
    """Hold the answer to a repeat against that to the first."""
    for offset, command in commands.items():
        first, again = last.get(command.first.offset), last.get(offset)
        if command.kind != "repeat" or first is None or again is None:
            continue
        if (first.outcome, first.code) != (again.outcome, again.code):
            why = f"a repeat was answered {again.outcome}, the first {first.outcome}"
            yield violation("repeats agree", why, command.witness(), first.witness(), again.witness())


def _dead_letters(commands: dict[int, Command], records: list[Record]) -> Iterator[Violation]:
    """Want exactly one dead letter for what cannot be answered, and for nothing else."""
    found = Counter(record.number(_DEAD_LETTER_OFFSET) for record in records)
    for offset, command in commands.items():
        wanted = int(command.wants_dead_letter)
        if found[offset] != wanted:
            why = f"{found[offset]} dead letters where {wanted} belongs"
            yield violation("dead letters", why, {**command.witness(), "kind": command.kind})


def _true(commands: dict[int, Command], last: dict[int, Answer], ledger: OrderLedger) -> Iterator[Violation]:
    """Hold every result against what happened."""
    for offset, answer in last.items():
        command = commands.get(offset)
        if command is None or command.kind != "first":
            continue
        why = _lie(command, answer, ledger) or _excuse(command, answer, commands, ledger)
        if why is not None:
            requests = [request.witness() for request in ledger.of_offset.get(offset, ())]
            yield violation("true", why, command.witness(), answer.witness(), *requests)


def _lie(command: Command, answer: Answer, ledger: OrderLedger) -> str | None:
    """Say in what an answer is untrue; None when it is true."""
    codes = ledger.codes(command.offset)
    if answer.outcome == "accepted" and SUCCESS not in codes:
        return _lie_of_acceptance(command, answer, ledger)
    if answer.outcome == "rejected" and answer.code not in codes:
        return f"rejected with {answer.code}, which the venue never said to it"
    if answer.outcome in _UNSENT and command.action != "cancel_order" and ledger.of_offset.get(command.offset):
        return f"{answer.outcome}, but it reached the venue"
    if answer.outcome == "not_found" and SUCCESS in codes:
        return "not_found, but the venue accepted it"
    return _lie_about_a_cancel(command, answer, ledger)


def _lie_of_acceptance(command: Command, answer: Answer, ledger: OrderLedger) -> str | None:
    """Hold against its effect what counts as accepted although the venue never said so."""
    survivors = _survivors(command, ledger)
    if command.action == "cancel_orders" and survivors:
        return f"accepted, but orders older than it are still open: {survivors[:3]}"
    if command.action == "cancel_orders" or _may_have_cancelled(command, answer, ledger):
        return None
    return "accepted, but the venue never accepted it"


def _may_have_cancelled(command: Command, answer: Answer, ledger: OrderLedger) -> bool:
    """Whether the owner must take a cancel for carried out: the order is cancelled, and a request may have done it.

    It may be a predecessor's, because a cancel is written without a claim; or one of its own that had no answer.
    """
    unanswered = any(not request.codes for request in ledger.of_offset.get(command.offset, ()))
    if command.action != "cancel_order" or not (unanswered or answer.term_began_ms > command.timestamp_ms):
        return False
    order = ledger.order_named(command.args)
    return order is not None and order["orderState"] == "CANCELLED"


def _lie_about_a_cancel(command: Command, answer: Answer, ledger: OrderLedger) -> str | None:
    """Hold the answer to a cancel_order against the order that has its name in the end."""
    order = ledger.order_named(command.args)
    if command.action != "cancel_order" or order is None:
        return None
    if answer.outcome == "rejected" and SUCCESS in ledger.codes(command.offset) and order["orderState"] == "CANCELLED":
        return f"rejected, but the venue had accepted it, and {order['orderId']} is cancelled"
    if answer.outcome == "accepted" and not is_over(order):
        return f"accepted, but {order['orderId']}, which has the name, is still open"
    return None


def _excuse(command: Command, answer: Answer, commands: dict[int, Command], ledger: OrderLedger) -> str | None:
    """Say why the bridge's own reason for not sending a command cannot be true; None when it can."""
    name = command.args.get("clientOrderId", "")
    if answer.outcome == "expired" and answer.answered_ms < command.valid_until_ms - rules.CLOCK_MS:
        return f"expired {command.valid_until_ms - answer.answered_ms} ms before validUntil"
    if answer.reason == "unknown_order" and name in ledger.order_ids:
        return "denied for an unknown order, which the venue has"
    others = (one for one in commands.values() if one.action == "place_order" and one.command_id != command.command_id)
    if answer.reason == "client_order_id_in_use" and all(one.args.get("clientOrderId") != name for one in others):
        return "denied for a clientOrderId that no other command uses"
    return None


def _removed(commands: dict[int, Command], last: dict[int, Answer], ledger: OrderLedger) -> Iterator[Violation]:
    """Want a later cancel behind everything that was superseded, whose own answer comes after."""
    firsts = [one for one in commands.values() if one.kind == "first" and one.offset in last]
    for command in firsts:
        if last[command.offset].outcome != "superseded" or command.action.startswith("cancel"):
            continue
        order = ledger.order_of(command.args)
        cancels = [
            last[one.offset]
            for one in firsts
            if one.offset > command.offset
            and (one.action == "cancel_orders" or (one.action == "cancel_order" and ledger.order_of(one.args) == order))
        ]
        if not any(cancel.at > last[command.offset].at for cancel in cancels):
            witness = [one.witness() for one in cancels]
            why = "superseded by no cancel that was answered afterwards"
            yield violation("removed", why, command.witness(), last[command.offset].witness(), *witness)


def _survivors(command: Command, ledger: OrderLedger) -> list[str]:
    """Return the open orders of a cancel_orders' scope whose place is older than it."""
    scope = command.args.get("exchangeType", "ALL")
    older = {
        request.args.get("clientOrderId", "")
        for request in ledger.requests
        if request.action == "place_order" and request.offset < command.offset
    }
    return [
        row["orderId"]
        for row in ledger.open_orders()
        if row["clientOrderId"] in older and scope in {"ALL", row["sym"].split("_")[0]}
    ]


def _watermark(history: dict[str, Any]) -> Iterator[Violation]:
    """Want the watermark at the end and nothing claimed: in the end everything is answered."""
    committed = history["committed"]
    if committed["offset"] != history["end"]:
        yield violation("watermark", f"commands end at {history['end']}", committed)
    elif not committed["metadata"].endswith(":"):  # its last part are the claims
        yield violation("watermark", "claims are left although everything is answered", committed)
