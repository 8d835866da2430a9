"""What keeps an account from doing its part in this process: what is missing, since when, and why."""

from collections.abc import Iterable
from typing import Final

from msgspec import Struct, structs


class Missing(Struct, frozen=True):
    """One thing that is missing, since when (Unix ms); `detail` says why, as text for people."""

    what: str
    since_ms: int
    detail: str


KAFKA = "kafka"
"""No broker answers, or the group cannot be joined."""
TAKEOVER = "takeover"
"""What the predecessor left is being read."""
SESSION = "session"
"""There is no logged-in session with the venue."""
SWEEP = "sweep"
"""What the venue's REST knows has not been published since the login."""
COMMITS = "commits"
"""Kafka acknowledges no offset commits, or too slowly."""
PUBLISHING = "publishing"
"""Records do not become durable in time."""
TOPICS = "topics"
"""A topic is gone or is not as it must be, or a grant on it is missing."""
OPERATOR = "operator"
"""The account is given up until a person looks at it."""

_NEEDS_KAFKA: Final = frozenset({KAFKA, TAKEOVER, COMMITS, PUBLISHING})


def explain_by_refusal(missing: Iterable[Missing], refusal: str | None) -> list[Missing]:
    """Return what is missing, with the brokers' refusal of our password as the reason wherever Kafka is needed."""
    if refusal is None:
        return list(missing)
    return [
        structs.replace(one, detail=refusal if one.what == KAFKA else f"{one.detail}: {refusal}")
        if one.what in _NEEDS_KAFKA
        else one
        for one in missing
    ]
