"""Whether a member owns its account: a table of states, moved on by what rebalances say."""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

from bridge.errors import KafkaTrouble, TermEnded
from bridge.kafka.aiokafka_internals import Generation


class MembershipState(Enum):
    """Where a member stands in its group."""

    OUT = auto()
    """No rebalance of the group has ended with this member yet."""
    STANDBY = auto()
    """In the group; the partition is another member's, and was not ours in this membership."""
    OWNER = auto()
    """The partition is assigned to this member."""
    REBALANCING = auto()
    """The partition was ours, and a rebalance runs whose outcome is not known."""
    ENDED = auto()
    """Another member may have owned the account, or this one has left; nothing may be done any more."""


class MembershipEvent(Enum):
    """What moves a member from one state to another."""

    REVOKED = auto()
    """A rebalance begins."""
    ASSIGNED = auto()
    """A rebalance has ended, and gave the partition to this member without a break since it had it last."""
    NOT_ASSIGNED = auto()
    """A rebalance has ended, and gave the partition to another member."""
    ENDED = auto()
    """The membership is over."""


_S = MembershipState
_E = MembershipEvent
TRANSITIONS: Final[Mapping[tuple[MembershipState, MembershipEvent], MembershipState]] = {
    (_S.OUT, _E.REVOKED): _S.OUT,
    (_S.OUT, _E.ASSIGNED): _S.OWNER,
    (_S.OUT, _E.NOT_ASSIGNED): _S.STANDBY,
    (_S.OUT, _E.ENDED): _S.ENDED,
    (_S.STANDBY, _E.REVOKED): _S.STANDBY,
    (_S.STANDBY, _E.ASSIGNED): _S.OWNER,
    (_S.STANDBY, _E.NOT_ASSIGNED): _S.STANDBY,
    (_S.STANDBY, _E.ENDED): _S.ENDED,
    (_S.OWNER, _E.REVOKED): _S.REBALANCING,
    (_S.OWNER, _E.ASSIGNED): _S.OWNER,
    (_S.OWNER, _E.NOT_ASSIGNED): _S.ENDED,
    (_S.OWNER, _E.ENDED): _S.ENDED,
    (_S.REBALANCING, _E.REVOKED): _S.REBALANCING,
    (_S.REBALANCING, _E.ASSIGNED): _S.OWNER,
    (_S.REBALANCING, _E.NOT_ASSIGNED): _S.ENDED,
    (_S.REBALANCING, _E.ENDED): _S.ENDED,
    (_S.ENDED, _E.REVOKED): _S.ENDED,
    (_S.ENDED, _E.ASSIGNED): _S.ENDED,
    (_S.ENDED, _E.NOT_ASSIGNED): _S.ENDED,
    (_S.ENDED, _E.ENDED): _S.ENDED,
}


class Ownership:
    """The state of one membership, the generation in which it owns the partition, and the epoch that it owns."""

    def __init__(self) -> None:
        self.state = MembershipState.OUT
        self.end_reason: KafkaTrouble | None = None
        """Why nothing may be done any more; None until the membership has ended."""
        self._generation: Generation | None = None
        self._epoch = 0
        self._epoch_member_id = ""

    @property
    def owned_generation(self) -> Generation | None:
        """The generation in which the partition is ours at this moment; None in every state but OWNER."""
        return self._generation if self.state is MembershipState.OWNER else None

    def set_epoch(self, epoch: int, member_id: str) -> None:
        """Note the epoch that this member owns, and the member id under which it will announce it to the group."""
        self._epoch = epoch
        self._epoch_member_id = member_id

    def epoch_to_announce(self, member_id: str) -> int:
        """Return the epoch for the join that is being sent; 0 for a member that was put out since it got the epoch."""
        is_ours = bool(member_id) and member_id == self._epoch_member_id
        return self._epoch if is_ours and self.state is not MembershipState.ENDED else 0

    def revoke(self) -> bool:
        """Note that a rebalance begins. Return whether the partition was ours until now."""
        was_ours = self.state is MembershipState.OWNER
        self._move(MembershipEvent.REVOKED)
        return was_ours

    def give_to_other(self) -> None:
        """Note that a rebalance gave the partition to another member."""
        if self.state in (MembershipState.OWNER, MembershipState.REBALANCING):
            self.end_reason = TermEnded("the partition was given to another member")
        self._move(MembershipEvent.NOT_ASSIGNED)

    def assign(self, generation: Generation) -> bool:
        """Note that a rebalance gave the partition to us. Return False where another member may have had it since."""
        if self._generation is not None and not self._is_continuous(self._generation, generation):
            self.end(TermEnded("another member may have owned the account since this one was last assigned it"))
            return False
        self._generation = generation
        return self._move(MembershipEvent.ASSIGNED) is MembershipState.OWNER

    def end(self, reason: KafkaTrouble) -> None:
        """End the membership."""
        self._move(MembershipEvent.ENDED)
        self.end_reason = reason

    def _move(self, event: MembershipEvent) -> MembershipState:
        self.state = TRANSITIONS[self.state, event]
        return self.state

    def _is_continuous(self, before: Generation, now: Generation) -> bool:
        """Return whether no other member can have been assigned the partition between the two generations.

        A member that was put out comes back under another id. A generation that this member was in and whose outcome
        it never learned cannot have given the partition to a lower epoch than the one that this member announced.
        """
        has_announced = self._epoch > 0 and self._epoch_member_id == now.member_id
        return now.member_id == before.member_id and (now.number == before.number + 1 or has_announced)
