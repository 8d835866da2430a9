"""The fate of a command or order in one sentence, by the steps of its story."""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

from msgspec import Struct

from bridge.contract import headers as header_names
from bridge.contract.commands import CANCEL, CANCEL_ALL, PLACE, REPLACE
from bridge.contract.results import Outcome, Result
from bridge.contract.session import GapOpened, OwnerAcquired, SessionLost
from bridge.contract.topics import Stream
from bridge.core.odd_fields import read_quantity
from bridge.core.order_states import TERMINAL, canonical_state
from bridge.inspect.contents import ShownCommand, ShownOrder, ShownTrade
from bridge.inspect.lines import describe_duration
from bridge.inspect.points import format_point
from bridge.inspect.story import Step, Story, last_states

_DONE_BY = {REPLACE: "replaced", CANCEL: "cancelled", CANCEL_ALL: "within reach of cancel_orders"}


class CommandFate(Struct):
    """What became of one command: its first record and its results; `dead_letter` is the reason of one."""

    command_id: str
    action: str = ""
    asked: Step | None = None
    submitted: int = 0
    terminal: Result | None = None
    unknown: Result | None = None
    dead_letter: str = ""

    @property
    def outcome(self) -> str:
        """Its outcome in words."""
        if self.terminal is not None:
            result = self.terminal
            why = result.reason.value if result.reason is not None else ""
            code = f"code {result.code}" if result.code is not None and result.outcome is Outcome.REJECTED else ""
            detail = ", ".join(word for word in (why, code) if word)
            return result.outcome.value + (f" ({detail})" if detail else "")
        if self.dead_letter:
            return f"a dead letter ({self.dead_letter})"
        return "not decided yet" if self.unknown is not None else "without a result yet"


def tell_fate(story: Story) -> str:
    """Return one sentence about a story with at least one step."""
    commands = collect_commands(story.steps)
    own = commands.get(story.subject)
    parts: list[str] = []
    if own is None:
        own = next((one for one in commands.values() if one.action == PLACE), None)
    if own is not None:
        parts.append(_tell_command(own))
    is_replaced = any(one.action == REPLACE and _is_accepted(one) for one in commands.values())
    parts += _tell_orders(story, is_replaced=is_replaced)
    parts += _tell_others([one for one in commands.values() if one is not own])
    for one in commands.values():
        if one.unknown is not None:
            name = "" if one is own else f"{one.command_id} "
            parts.append(f"{name}in doubt {_tell_doubt(one.unknown, one.terminal)}")
    parts += _tell_background(story)
    return "; ".join(parts)


def collect_commands(steps: Iterable[Step]) -> dict[str, CommandFate]:
    """Return what became of each command, in the order of their records."""
    found: dict[str, CommandFate] = {}
    for step in steps:
        content = step.content
        if step.record.stream is Stream.DEAD_LETTERS:
            _add_dead_letter(found, step)
        elif isinstance(content, ShownCommand):
            one = found.setdefault(content.command_id, CommandFate(content.command_id, content.action))
            one.asked, one.submitted = one.asked or step, one.submitted + 1
        elif isinstance(content, Result) and step.counts:
            one = found.setdefault(content.command_id, CommandFate(content.command_id, content.action or ""))
            if content.outcome is Outcome.UNKNOWN:
                one.unknown = one.unknown or content
            else:
                one.terminal = one.terminal or content
    return found


def _add_dead_letter(found: dict[str, CommandFate], step: Step) -> None:
    """Note a dead letter of a command; one that only has the id of another command is not that one's end."""
    content = step.content
    if not isinstance(content, ShownCommand):
        return
    reason = (step.record.header(header_names.ERROR_CODE) or b"?").decode("utf-8", "backslashreplace")
    one = found.setdefault(content.command_id, CommandFate(content.command_id, content.action))
    one.dead_letter = one.dead_letter or reason


def _tell_command(one: CommandFate) -> str:
    took = ""
    if one.terminal is not None and one.asked is not None:
        took = f" after {describe_duration(max(0, one.terminal.answered_at - one.asked.record.timestamp_ms))}"
    elif one.asked is None:
        took = " (its record is older than what was read)"
    times = f", submitted {one.submitted} times" if one.submitted > 1 else ""
    if one.terminal is not None and one.dead_letter:
        times += f", once as a dead letter ({one.dead_letter})"
    return f"{one.action or 'command'} {one.command_id} {one.outcome}{took}{times}"


def _tell_orders(story: Story, *, is_replaced: bool) -> Iterator[str]:
    """Tell the last state of each order; a replace may have made the later ones of the first."""
    next_words = "continued as order" if is_replaced else "then, under the same clientOrderId, order"
    states = last_states(story.steps)
    fills = _fills_by_order(story.contents(ShownTrade))
    order_ids = list(dict.fromkeys([*states, *fills]))
    for number, order_id in enumerate(order_ids):
        before = order_ids[number - 1] if number else ""
        is_next = bool(before) and _has_same_name(states.get(before), states.get(order_id))
        state = _tell_state(states.get(order_id), fills.get(order_id, []))
        yield f"{next_words if is_next else 'order'} {order_id} {state}"


def _has_same_name(one: ShownOrder | None, other: ShownOrder | None) -> bool:
    return one is not None and other is not None and one.client_order_id == other.client_order_id


def _tell_state(order: ShownOrder | None, fills: Sequence[ShownTrade]) -> str:
    count = f"{len(fills)} fill" + ("" if len(fills) == 1 else "s")
    if order is None:
        total = sum((read_quantity(trade.quantity) or Decimal(0) for trade in fills), Decimal(0))
        return f"executed {total:f} in {count}; no state of it was read"
    state = canonical_state(order.order_state)
    still = "" if state in TERMINAL else "still "
    done = f"{order.executed_qty or 0} of {order.order_qty or '?'}"
    return f"{still}{state} {done}" + (f" in {count}" if fills else "")


def _fills_by_order(steps: Iterable[Step]) -> dict[str, list[ShownTrade]]:
    """Return the executions of each order; one that was published twice counts once, by its `ce_id`."""
    found: dict[str, list[ShownTrade]] = {}
    for step in steps:
        if isinstance(step.content, ShownTrade) and not step.record.is_repeated:
            found.setdefault(str(step.content.order_id), []).append(step.content)
    return found


def _tell_others(commands: Sequence[CommandFate]) -> Iterator[str]:
    """Tell what the other commands did to the order, those that had the same effect together."""
    for action, done in _DONE_BY.items():
        accepted = [one for one in commands if one.action == action and _is_accepted(one)]
        if accepted:
            times = "" if action != REPLACE else " once" if len(accepted) == 1 else f" {len(accepted)} times"
            yield (
                f"{done}{times} by {', '.join(one.command_id for one in accepted)}"
                if action != CANCEL_ALL
                else (f"{done} {', '.join(one.command_id for one in accepted)}")
            )
    for one in commands:
        if not _is_accepted(one):
            yield f"{one.action or 'command'} {one.command_id} {one.outcome}"


def _is_accepted(one: CommandFate) -> bool:
    return one.terminal is not None and one.terminal.outcome is Outcome.ACCEPTED and one.action in _DONE_BY


def _tell_doubt(unknown: Result, terminal: Result | None) -> str:
    begin_ms = unknown.answered_at
    # An owner that answers for an earlier one does not know when that one wrote the command.
    is_inherited = unknown.sent_at is None
    found = " at the latest, when a new owner found it without a result" if is_inherited else ""
    begin = format_point(begin_ms) + found
    if terminal is None:
        return f"since {begin}"
    end_ms = terminal.answered_at
    took = "" if is_inherited else f" ({describe_duration(max(0, end_ms - begin_ms))})"
    return f"from {begin}, to {format_point(end_ms)}{took}"


def _tell_background(story: Story) -> Iterator[str]:
    owners = story.contents(OwnerAcquired)
    if owners:
        epochs = ", ".join(str(step.content.epoch) for step in owners if isinstance(step.content, OwnerAcquired))
        yield f"meanwhile the account had a new owner (epoch {epochs})"
    lost, gaps = len(story.contents(SessionLost)), len(story.contents(GapOpened))
    if lost:
        yield f"the session was lost {lost} time" + ("" if lost == 1 else "s")
    if gaps:
        yield f"{gaps} gap" + ("" if gaps == 1 else "s") + " opened"
