"""Commands that an earlier owner may have written to the venue, as a takeover finds them on their topic."""

from bridge.contract.commands import CANCEL, PLACE
from bridge.contract.results import Outcome
from bridge.core.commands.command import TrackedCommand
from bridge.core.commands.dispatch import Dispatcher
from bridge.core.commands.in_flight_port import InFlight
from bridge.core.commands.order_names import resolve_order_names
from bridge.core.commands.results import Results
from bridge.core.commands.term_state import TermState
from bridge.core.commands.unsent_commands import InvalidTiming, UnsentCommands
from bridge.core.now import Now


class InheritedCommands:
    """Takes over commands of earlier owners: holds their slots, and hands on to `in_flight` what has no result."""

    def __init__(
        self,
        term: TermState,
        results: Results,
        dispatcher: Dispatcher,
        unsent: UnsentCommands,
        in_flight: InFlight,
    ) -> None:
        self._claims = term.claims
        self._index = term.index
        self._table = term.table
        self._rate_limits = term.rate_limits
        self._orders = term.orders
        self._clocks = term.clocks
        self._results = results
        self._dispatcher = dispatcher
        self._unsent = unsent
        self._in_flight = in_flight

    def take_over_claimed(self, command: TrackedCommand, now: Now) -> None:
        """Take over a command that an earlier owner claimed, or that counts as claimed because its claims were lost.

        A place of the second kind is denied if its clientOrderId was in use: then that owner has not written it.
        """
        if command.action == PLACE and self._claims.is_claim_lost(command.offset):
            appended_boot_s = self._clocks.appended_boot_s(command.timestamp_ms, now)
            if self._index.was_client_order_id_used(command.client_order_id or "", command.offset, appended_boot_s):
                self._results.deny_client_order_id(command, now)
                return
        self._take_over(command, now)

    def take_over_cancel(self, cancel: TrackedCommand, now: Now) -> bool:
        """Take over a cancel without a claim, which an earlier owner may have written; return whether it has.

        It has if it published that the outcome is unknown. If not, the cancel only holds a slot: it may be sent.
        """
        if self._index.find_unknown_at_ms(cancel.command_id, cancel.offset) is not None:
            self._take_over(cancel, now)
            return True
        cancel.maybe_written_before = True
        self.hold_slot(cancel, ("earlier owner", cancel.offset), now)
        return False

    def take_over_answered(self, command: TrackedCommand, now: Now) -> None:
        """Take over a command whose result is durable.

        A cancel that reached the venue ends what the earlier owner left unsent before it.
        """
        answered = self._index.find_answered(command.command_id)
        if answered is None or answered.offset != command.offset:
            return  # submitted again, it was answered and not sent
        if not answered.result.outcome.unsent:
            resolve_order_names(command, self._orders, self._table)
            self._unsent.supersede_for(command, now)
        elif answered.result.outcome is Outcome.EXPIRED and command.action == CANCEL:
            # The earlier owner may have written it, although its result says expired; no commit counts that request.
            command.maybe_written_before = True
            self.hold_slot(command, ("earlier owner", command.offset), now)
            self.count_extra_request(command, now)

    def take_over_resubmitted(self, claimed: TrackedCommand, now: Now) -> None:
        """Take over an unsent command when a later record of the same commandId, `claimed`, was claimed.

        The earlier owner deferred the first record and claimed the later one, so it may have written the command. The
        command that is in the table, from the first record, leaves its lane and is treated as perhaps written.
        """
        resolve_order_names(claimed, self._orders, self._table)
        place = self._table.find_unsent_place(claimed.client_order_id or "") if claimed.action == PLACE else None
        unsent = self._table.list_unsent_replaces(claimed.order_key or "") if place is None else [place]
        for earlier in (one for one in unsent if one.command_id == claimed.command_id):
            self._dispatcher.cancel_unsent(earlier)
            earlier.deadline_boot_s = claimed.deadline_boot_s  # it was written while that one was valid
            self.hold_slot(earlier, earlier.offset, now)
            self._in_flight.inherit(earlier, now)

    def answer_invalid_timing(self, command: TrackedCommand, invalid: InvalidTiming, now: Now) -> None:
        """Answer a command that may not be sent now.

        An expired one that an earlier owner may have written is answered when its order tells what became of it.
        """
        if command.maybe_written_before and invalid.outcome is Outcome.EXPIRED:
            self._in_flight.expire_earlier_cancel(command, now)
        else:
            self.count_extra_request(command, now)
            self._results.publish_terminal(
                command, invalid.outcome, now, reason=invalid.reason, message=invalid.message
            )

    def count_extra_request(self, cancel: TrackedCommand, now: Now) -> None:
        """Let commits count the request of a cancel that an earlier owner may have written: no result will."""
        if cancel.maybe_written_before:
            written_boot_s = self._clocks.latest_write_boot_s(cancel.deadline_boot_s, now)
            self._rate_limits.cancels.extra.restore(("earlier owner", cancel.offset), written_boot_s)

    def hold_slot(self, command: TrackedCommand, slot_key: object, now: Now) -> None:
        """Hold the slot of a request that an earlier owner may have written: before now, and within its validity."""
        written_boot_s = self._clocks.latest_write_boot_s(command.deadline_boot_s, now)
        self._rate_limits[command.action].restore_unanswered(slot_key, written_boot_s, now.boot_s)

    def _take_over(self, command: TrackedCommand, now: Now) -> None:
        """Take over a command without a result; what stands unsent before a cancel is ended by it."""
        self.hold_slot(command, command.offset, now)
        self._table.join_chain(command)
        self._in_flight.inherit(command, now)
        self._unsent.supersede_for(command, now)
