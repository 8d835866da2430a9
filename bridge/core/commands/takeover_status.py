"""What a takeover knows of a command from before its term."""

from enum import StrEnum


class TakeoverStatus(StrEnum):
    """What a takeover knows of a command from the time before it."""

    NEW = "new"
    UNREAD = "unread"
    """No earlier owner has read it."""
    READ = "read"
    """No trace of it; but a cancel needs no claim, so it may have been written."""
    CLAIMED = "claimed"
    """An earlier owner may have written it; no result is durable."""
    ANSWERED = "answered"
    """Its result is durable."""
