"""What was asked before: each command once within the horizon, and each clientOrderId one command."""

from collections.abc import Iterable

from bridge.contract.commands import PLACE
from bridge.contract.results import Result
from bridge.core.commands.answered_commands import AnsweredCommand, AnsweredCommands, short_digest
from bridge.core.commands.command import Resubmission, TrackedCommand
from bridge.core.commands.command_table import CommandTable

_RESUBMISSIONS_MAX = 10_000
"""Repeats of commands that are not answered yet, of all together."""
_UNKNOWN_MAX = 10_000
"""Commands with an `unknown` of an earlier owner that are remembered; the others get a second `unknown`."""
_OF_ANOTHER_TOPIC = -1
"""Stands for an offset that compares with none of this topic: lower than all."""


class DedupeIndex:
    """What is known of a commandId or clientOrderId that was used before, forgotten a horizon after its result.

    Ages are reckoned on the boot clock: one wrong moment of the wall clock must forget nothing. What is remembered has
    a bound in bytes. Beyond it the results of what was sent are remembered all the same: the venue's limits bound
    those. The refusals are not, and `full` says that places should be refused.
    """

    def __init__(self, table: CommandTable, horizon_s: float, bytes_max: int) -> None:
        self._table = table
        self._resubmissions = 0
        self._unknown: dict[str, tuple[int, int]] = {}
        """Offset and time of the `unknown` that earlier owners published, by commandId; without a terminal result."""
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
        """Return what is remembered of an answered command."""
        return self._answered.find(command_id)

    def is_command_id_used(self, command_id: str) -> bool:
        """Whether a commandId was used before."""
        return self._table.find_by_command_id(command_id) is not None or self.find_answered(command_id) is not None

    def find_order_offset(self, client_order_id: str) -> int | None:
        """Return the offset of the command that uses a clientOrderId."""
        holder = self._table.find_holder(client_order_id)
        return holder.offset if holder is not None else self._answered.find_order_offset(client_order_id)

    def was_client_order_id_used(self, client_order_id: str, offset: int, at_boot_s: float) -> bool:
        """Whether every owner at that time knew another command than the one at `offset` to use a clientOrderId."""
        holder = self._table.find_holder(client_order_id)
        if holder is not None:
            return holder.offset != offset
        return self._answered.was_client_order_id_used(client_order_id, at_boot_s)

    def add(self, command: TrackedCommand) -> None:
        """Remember a command; a place holds its clientOrderId from now on, if that is free."""
        self._table.add(command)
        is_place = command.action == PLACE and command.client_order_id is not None
        if is_place and self.find_order_offset(command.client_order_id or "") is None:
            self._table.hold_client_order_id(command)

    def add_resubmission(self, command: TrackedCommand, resubmission: Resubmission) -> None:
        """Let a resubmission wait for the result of its command."""
        command.resubmissions.append(resubmission)
        self._resubmissions += 1

    def mark_answered(self, command: TrackedCommand, result: Result, at_boot_s: float) -> list[Resubmission]:
        """Remember the terminal result of a command; return its resubmissions, which get the same."""
        self._resubmissions -= len(command.resubmissions)
        self.remember_result(result, command.digest, at_boot_s)
        name = command.client_order_id
        if name is not None and not result.outcome.unsent and self._table.find_holder(name) is command:
            self._answered.add_client_order_id(name, command.offset, at_boot_s)
        return command.resubmissions

    def remember_result(self, result: Result, digest: str | None, at_boot_s: float) -> None:
        """Remember a terminal result, unless it is a refusal and there is no room for more of them."""
        if not (self._answered.is_full and result.outcome.unsent):
            self._answered.add(result, short_digest(digest), at_boot_s)

    def restore(self, results: Iterable[tuple[Result, float]]) -> None:
        """Remember what an earlier owner answered: results and when they were appended, oldest first."""
        for result, appended_boot_s in results:
            known = self._answered.find(result.command_id)
            # A refusal may have been forgotten, and what was refused carried out then.
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
        """Return when an earlier owner published that the fate of the command at an offset is unknown, Unix ms."""
        of, at_ms = self._unknown.get(command_id, (None, 0))
        return at_ms if of == offset else None

    def forget_offsets(self, command_ids: Iterable[str], boot_s: float) -> None:
        """Take the orders of answered commands for older than all that is on `commands` now: it is another topic."""
        for command_id in command_ids:
            answered = self._answered.find(command_id)
            name = answered.result.client_order_id if answered is not None else None
            if name is not None and self._answered.find_order_offset(name) is not None:
                self._answered.add_client_order_id(name, _OF_ANOTHER_TOPIC, boot_s)

    def drop_expired(self, boot_s: float) -> None:
        """Drop what was answered more than a horizon ago."""
        self._answered.drop_expired(boot_s)
