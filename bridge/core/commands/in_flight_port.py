"""What `core/commands` calls of `core/in_flight`, which it does not import."""

from typing import Protocol

from bridge.core.commands.command import TrackedCommand
from bridge.core.now import Now


class InFlight(Protocol):
    """Takes over commands that an earlier owner may have written."""

    def inherit(self, command: TrackedCommand, now: Now) -> None:
        """Take over a command that an earlier owner may have written and left without a result."""

    def expire_earlier_cancel(self, cancel: TrackedCommand, now: Now) -> None:
        """Answer an expired cancel that an earlier owner may have written, when its order tells what became of it."""
