"""Whether a member owns its account, worked out from what rebalances tell."""

from bridge.errors import KafkaTrouble, TermEnded
from bridge.kafka.aiokafka_internals import Generation


class Ownership:
    """One membership's partition: not yet ours, ours in a generation, or over for good.

    `over` is why nothing may be done any more; it never goes away again.
    """

    def __init__(self) -> None:
        self.over: KafkaTrouble | None = None
        self.has_joined = False
        self.assigned_in: Generation | None = None
        """The generation in which the partition is ours at this moment; None while a rebalance runs."""
        self._held_in: Generation | None = None
        self._epoch = 0
        self._epoch_member_id = ""

    @property
    def was_held(self) -> bool:
        """Whether the partition has been ours at all."""
        return self._held_in is not None

    def set_epoch(self, epoch: int, member_id: str) -> None:
        """Note the epoch that this member owns, and under which id it will tell the group."""
        self._epoch = epoch
        self._epoch_member_id = member_id

    def epoch_told(self, member_id: str) -> int:
        """Return the epoch for the join that is being sent: none for a member that was put out meanwhile."""
        return self._epoch if self.over is None and member_id and member_id == self._epoch_member_id else 0

    def revoke(self) -> bool:
        """Note that a rebalance begins; whether the partition was ours."""
        was_ours, self.assigned_in = self.assigned_in is not None, None
        return was_ours

    def lose(self) -> None:
        """Note that a rebalance gave the partition to another member."""
        if self.was_held:
            self.over = TermEnded("the partition was given to another member")

    def assign(self, generation: Generation) -> bool:
        """Note that a rebalance gave the partition to us; False where another member may have had it in between."""
        if self._held_in is not None and not self._continues(self._held_in, generation):
            self.over = TermEnded("another member may have owned the account since this one was last assigned it")
            return False
        self._held_in = self.assigned_in = generation
        return True

    def _continues(self, before: Generation, now: Generation) -> bool:
        """Tell whether nobody else can have been assigned the partition between the two generations.

        A member that was put out comes back under another id. A generation that we were in and whose outcome we
        never saw cannot have gone to a lower epoch than the one we told it.
        """
        told_epoch = self._epoch > 0 and self._epoch_member_id == now.member_id
        return now.member_id == before.member_id and (now.number == before.number + 1 or told_epoch)
