"""What the events on `session` tell about who owns an account, while it changes hands."""

from msgspec import Struct

from bridge.contract.session import (
    OwnerAcquired,
    OwnerReleased,
    RecoveryComplete,
    SessionEvent,
    SessionLost,
    SessionOpened,
)

ON_ITS_WAY_MS = 60_000
"""An account that has had a new owner for longer and does not trade has another trouble than the change."""


class HandOver(Struct):
    """One change of owner, asked for at `told_s`; times in seconds of one steady clock, None before the event.

    From `told_s` on the owner writes nothing new to the venue.
    """

    told_s: float
    has_begun: bool = False
    """Whether there was any sign that the owner has heard, or has ended for another reason."""
    lost_s: float | None = None
    instance: str | None = None
    """Of the new owner."""
    opened_s: float | None = None
    complete_s: float | None = None

    def note_event(self, event: SessionEvent, arrived_s: float) -> None:
        """Note an event, which may be of the owner before or of the new one."""
        self.has_begun |= isinstance(event, SessionLost | OwnerReleased | OwnerAcquired)
        if isinstance(event, OwnerAcquired):
            self.instance, self.opened_s, self.complete_s = event.instance, None, None
        elif self.instance is None:
            self.lost_s = arrived_s if isinstance(event, SessionLost) else self.lost_s
        elif isinstance(event, SessionOpened):
            self.opened_s = arrived_s
        elif isinstance(event, RecoveryComplete):
            self.complete_s = arrived_s

    def describe(self) -> str:
        """Return for how long the account had no session, and for how long commands may have waited."""
        waited = f"commands waited {(self.complete_s or self.told_s) - self.told_s:.2f} s at most"
        if self.lost_s is None or self.opened_s is None:
            return waited
        return f"no session {self.opened_s - self.lost_s:.2f} s, {waited}"

    def describe_lack(self) -> str:
        """Return what has not happened, and what to do."""
        if self.instance is None:
            return "its owner has not handed it over; see its log (a takeover that runs is not cut off), and try again"
        lack = "has no session" if self.opened_s is None else "has not compared everything with the venue"
        return f"its new owner {self.instance} {lack} yet; see its /readyz. Stop that replica, and another takes over"


class OwnerChanges:
    """Finds the accounts that are changing hands, by their events on `session`."""

    def __init__(self) -> None:
        self._since_ms: dict[str, int] = {}

    def note_event(self, account: str, event: SessionEvent, time_ms: int) -> None:
        """Note an event of an account, and when it was, Unix ms."""
        if isinstance(event, OwnerReleased | OwnerAcquired):
            self._since_ms[account] = time_ms
        elif isinstance(event, RecoveryComplete):
            self._since_ms.pop(account, None)

    def find_changing(self, now_ms: int) -> set[str]:
        """Return the accounts whose owner has left, or is new and does not carry out every command yet."""
        return {one for one, since_ms in self._since_ms.items() if now_ms - since_ms < ON_ITS_WAY_MS}
