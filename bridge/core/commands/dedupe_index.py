"""What was asked before: each command once within the horizon, and each clientOrderId one command."""

from collections.abc import Iterable

from msgspec import Struct, field

from bridge.contract.commands import PLACE
from bridge.contract.headers import Headers
from bridge.contract.results import Result
from bridge.core.commands.answered_commands import AnsweredCommands, short_digest

_REPEATS_MAX = 10_000
"""Repeats of commands that are not answered yet, of all together."""
_DOUBTED_MAX = 10_000
"""Commands with an `unknown` of an earlier owner that are remembered; the others get a second `unknown`."""
_OF_ANOTHER_TOPIC = -1
"""Stands for an offset that compares with none of this topic: lower than all."""


class Resubmission(Struct, frozen=True):
    """A record that submits a command again; `correlation_headers` are the headers that its answer carries back."""

    offset: int
    timestamp_ms: int
    correlation_headers: Headers


class SeenCommand(Struct):
    """A remembered command; `result` is its terminal result once there is one, with the message of one that was sent.

    `digest` as `short_digest` gives it. `repeats` are those that came before it was answered.
    """

    command_id: str
    offset: int
    digest: bytes
    client_order_id: str | None
    result: Result | None = None
    resubmissions: list[Resubmission] = field(default_factory=list)


class DedupeIndex:
    """Commands by commandId, and the order names in use, forgotten a horizon after their answer.

    Ages are told by the clock that never steps: one wrong moment of the wall clock must forget nothing.
    What is remembered has a bound in bytes. Beyond it the answers to what was sent are remembered all the same: the
    venue's limits bound those. The refusals are not, and `full` says that places should be refused.
    """

    def __init__(self, horizon_s: float, bytes_max: int) -> None:
        self._waiting: dict[str, SeenCommand] = {}
        self._names: dict[str, int] = {}
        self._repeats = 0
        self._doubted: dict[str, tuple[int, int]] = {}
        """Offset and time of the `unknown` that earlier owners published, by commandId; those with no last word."""
        self._answered = AnsweredCommands(horizon_s, bytes_max)

    def __len__(self) -> int:
        return len(self._waiting) + len(self._answered)

    @property
    def full(self) -> bool:
        """Whether a command should be refused because its answer could not be remembered."""
        return self._answered.full

    @property
    def repeats_full(self) -> bool:
        """Whether so many repeats wait for the answer to their command that no more may."""
        return self._repeats >= _REPEATS_MAX

    def find(self, command_id: str) -> SeenCommand | None:
        """Return the remembered command of this id."""
        asked = self._waiting.get(command_id)
        if asked is not None:
            return asked
        answered = self._answered.find(command_id)
        if answered is None:
            return None
        result = answered.result
        return SeenCommand(command_id, answered.offset, answered.digest, result.client_order_id, result)

    def order_offset(self, client_order_id: str) -> int | None:
        """Return the offset of the command that uses a clientOrderId."""
        offset = self._names.get(client_order_id)
        return offset if offset is not None else self._answered.order_offset(client_order_id)

    def name_was_used(self, client_order_id: str, offset: int, at_boot_s: float) -> bool:
        """Whether every owner at that time knew another command than the one at `offset` to use a clientOrderId."""
        if client_order_id in self._names:
            return self._names[client_order_id] != offset
        return self._answered.names_order_at(client_order_id, at_boot_s)

    def remember(self, asked: SeenCommand, *, names_order: bool) -> None:
        """Remember a command; `names_order` when it is a place, whose clientOrderId is then taken if it is free."""
        self._waiting[asked.command_id] = asked
        if names_order and asked.client_order_id is not None and self.order_offset(asked.client_order_id) is None:
            self._names[asked.client_order_id] = asked.offset

    def add_resubmission(self, asked: SeenCommand, repeat: Resubmission) -> None:
        """Let a repeat wait for the answer to its command."""
        asked.resubmissions.append(repeat)
        self._repeats += 1

    def mark_answered(self, result: Result, at_boot_s: float) -> list[Resubmission]:
        """Note the terminal result of a command that waited; return its repeats, which get the same."""
        asked = self._waiting.pop(result.command_id)
        self._repeats -= len(asked.resubmissions)
        if not (self._answered.full and result.outcome.unsent):
            self._answered.add(result, asked.digest, at_boot_s)
        name = asked.client_order_id
        if name is not None and self._names.get(name) == asked.offset and not result.outcome.unsent:
            del self._names[name]
            self._answered.name_order(name, asked.offset, at_boot_s)
        return asked.resubmissions

    def free_client_order_id(self, client_order_id: str | None, offset: int) -> None:
        """Free the clientOrderId of a command that was never sent: a later one may use it."""
        if client_order_id is not None and self._names.get(client_order_id) == offset:
            del self._names[client_order_id]

    def restore(self, results: Iterable[tuple[Result, float]]) -> None:
        """Remember what an earlier owner answered: results and when they were appended, oldest first."""
        for result, appended_boot_s in results:
            known = self._answered.find(result.command_id)
            # A refusal may have been forgotten, and what was refused carried out then.
            if known is not None and (result.outcome.unsent or not known.result.outcome.unsent):
                continue
            if not result.outcome.terminal:
                if len(self._doubted) < _DOUBTED_MAX:
                    self._doubted[result.command_id] = result.command_offset, result.answered_at
                continue
            self._doubted.pop(result.command_id, None)
            if result.outcome.unsent and self._answered.full:
                continue
            self._answered.add(result, short_digest(result.body_digest), appended_boot_s)
            name = result.client_order_id
            if result.action == PLACE and not result.outcome.unsent and name is not None:
                self._answered.name_order(name, result.command_offset, appended_boot_s)

    def unknown_at_ms(self, command_id: str, offset: int) -> int | None:
        """Return when an earlier owner published that the fate of the command at an offset is unknown, Unix ms."""
        of, at_ms = self._doubted.get(command_id, (None, 0))
        return at_ms if of == offset else None

    def forget_offsets(self, command_ids: Iterable[str], boot_s: float) -> None:
        """Take the orders of answered commands for older than all that is on `commands` now: it is another topic."""
        for command_id in command_ids:
            answered = self._answered.find(command_id)
            name = answered.result.client_order_id if answered is not None else None
            if name is not None and self._answered.order_offset(name) is not None:
                self._answered.name_order(name, _OF_ANOTHER_TOPIC, boot_s)

    def forget_expired(self, boot_s: float) -> None:
        """Drop what was answered more than a horizon ago."""
        self._answered.forget(boot_s)
