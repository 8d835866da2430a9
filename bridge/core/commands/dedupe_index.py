"""The commandIds and clientOrderIds that were used within the horizon."""

from collections.abc import Iterable

from bridge.contract.commands import PLACE
from bridge.contract.results import Result
from bridge.core.commands.answered_commands import AnsweredCommand, AnsweredCommands, short_digest
from bridge.core.commands.command import Resubmission, TrackedCommand
from bridge.core.commands.command_table import CommandTable

_RESUBMISSIONS_MAX = 10_000
"""Records, of all commands together, that wait for the result of the command that they submit again."""
_UNKNOWN_MAX = 10_000
"""Remembered `unknown` results of earlier owners; a command beyond that gets a second one."""
_OF_ANOTHER_TOPIC = -1
"""An offset lower than all of this topic, for commands of another one."""


class DedupeIndex:
    """The results of commandIds and the offsets of clientOrderIds, each for one horizon after the result.

    Ages are by the boot clock, because a step of the wall clock must not make the index forget. The index has a bound
    in bytes. Above it, results of commands that were sent are remembered all the same: the venue's rate limits bound
    those. Results of unsent commands are not, and `is_full` says that places should be denied.
    """

    def __init__(self, table: CommandTable, horizon_s: float, bytes_max: int) -> None:
        self._table = table
        self._resubmissions = 0
        self._unknown: dict[str, tuple[int, int]] = {}
        """Offset and time of `unknown` results of earlier owners, by commandId, while there is no terminal result."""
        self._answered = AnsweredCommands(horizon_s, bytes_max)

    def __len__(self) -> int:
        return len(self._table) + len(self._answered)

    @property
    def is_full(self) -> bool:
        """Whether a command should be refused because its result could not be remembered."""
        return self._answered.is_full

    @property
    def has_too_many_resubmissions(self) -> bool:
        """Whether so many resubmissions wait for the result of their command that no more may."""
        return self._resubmissions >= _RESUBMISSIONS_MAX

    def find_answered(self, command_id: str) -> AnsweredCommand | None:
        """Return the remembered result of a commandId."""
        return self._answered.find(command_id)

    def find_earlier(self, command_id: str) -> TrackedCommand | AnsweredCommand | None:
        """Return the command that used a commandId before, or its remembered result."""
        return self._table.find_by_command_id(command_id) or self.find_answered(command_id)

    def find_order_offset(self, client_order_id: str) -> int | None:
        """Return the offset of the command that uses a clientOrderId."""
        holder = self._table.find_holder(client_order_id)
        return holder.offset if holder is not None else self._answered.find_order_offset(client_order_id)

    def was_client_order_id_used(self, client_order_id: str, offset: int, at_boot_s: float) -> bool:
        """Whether another command than the one at `offset` certainly used a clientOrderId at a time."""
        holder = self._table.find_holder(client_order_id)
        if holder is not None:
            return holder.offset != offset
        return self._answered.was_client_order_id_used(client_order_id, at_boot_s)

    def add(self, command: TrackedCommand) -> None:
        """Add a command to the table; a place holds its clientOrderId from now on, if that is free."""
        self._table.add(command)
        is_place = command.action == PLACE and command.client_order_id is not None
        if is_place and self.find_order_offset(command.client_order_id or "") is None:
            self._table.hold_client_order_id(command)

    def add_resubmission(self, command: TrackedCommand, resubmission: Resubmission) -> None:
        """Let a resubmission wait for the result of its command."""
        command.resubmissions.append(resubmission)
        self._resubmissions += 1

    def mark_answered(self, command: TrackedCommand, result: Result, at_boot_s: float) -> list[Resubmission]:
        """Remember the terminal result of a command; return its resubmissions, which get the same result."""
        self._resubmissions -= len(command.resubmissions)
        self.remember_result(result, command.digest, at_boot_s)
        client_order_id = command.client_order_id or ""
        if not result.outcome.unsent and self._table.find_holder(client_order_id) is command:
            self._answered.add_client_order_id(client_order_id, command.offset, at_boot_s)
        return command.resubmissions

    def remember_result(self, result: Result, digest: str | None, at_boot_s: float) -> None:
        """Remember a terminal result; that of an unsent command only while the index is not full."""
        if not (self._answered.is_full and result.outcome.unsent):
            self._answered.add(result, short_digest(digest), at_boot_s)

    def restore(self, results: Iterable[tuple[Result, float]]) -> None:
        """Remember results of earlier owners, with the times at which they were appended, oldest first."""
        for result, appended_boot_s in results:
            known = self._answered.find(result.command_id)
            # A later owner may have forgotten a refusal, and sent the same command.
            if known is not None and (result.outcome.unsent or not known.result.outcome.unsent):
                continue
            if not result.outcome.terminal:
                if len(self._unknown) < _UNKNOWN_MAX:
                    self._unknown[result.command_id] = result.command_offset, result.answered_at
                continue
            self._unknown.pop(result.command_id, None)
            if result.outcome.unsent and self._answered.is_full:
                continue
            self._answered.add(result, short_digest(result.body_digest), appended_boot_s)
            name = result.client_order_id
            if result.action == PLACE and not result.outcome.unsent and name is not None:
                self._answered.add_client_order_id(name, result.command_offset, appended_boot_s)

    def find_unknown_at_ms(self, command_id: str, offset: int) -> int | None:
        """Return when, in Unix ms, an earlier owner published that the command at an offset is unknown."""
        of, at_ms = self._unknown.get(command_id, (None, 0))
        return at_ms if of == offset else None

    def forget_offsets(self, command_ids: Iterable[str], boot_s: float) -> None:
        """Let orders of answered commands count as older than every command on the topic: it is another topic now."""
        for command_id in command_ids:
            answered = self._answered.find(command_id)
            name = answered.result.client_order_id if answered is not None else None
            if name is not None and self._answered.find_order_offset(name) is not None:
                self._answered.add_client_order_id(name, _OF_ANOTHER_TOPIC, boot_s)

    def drop_expired(self, boot_s: float) -> None:
        """Drop what was answered more than a horizon ago."""
        self._answered.drop_expired(boot_s)
