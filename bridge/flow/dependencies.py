"""What the parts of flow are given from outside: `app.py` fits the real ones in, tests fit others."""

from collections.abc import Awaitable, Callable
from typing import Final

from msgspec import Struct

from bridge.config import Limits, Timing
from bridge.core.account import Account
from bridge.core.session_listener import SessionListener
from bridge.flow.ports import (
    Clock,
    EncodeAction,
    Membership,
    Publisher,
    ReadCommands,
    TopicWatch,
    VenueRest,
    VenueSession,
)
from bridge.flow.result_log import ResultLog
from bridge.flow.topic_replay import TopicReplay
from bridge.flow.whose_account import Identity
from bridge.metrics import AccountMetrics

LATE_AFTER_S: Final = 150.0
"""Longer than anything old may still arrive: TCP itself counts on two minutes for a packet (RFC 9293), and Linux gives
up after 100 s what the socket of a process that is no more still holds."""


class TakeoverDependencies(Struct, frozen=True):
    """What a takeover of an account needs."""

    prefix: str
    """The `topic_prefix`."""
    limits: Limits
    timing: Timing
    result_log: ResultLog
    identity: Identity
    membership: Membership
    publisher: Publisher
    topics: TopicReplay
    clock: Clock
    metrics: AccountMetrics
    commit_timeout_s: float
    executions_since_ms: int | None
    """From when on past executions are wanted of an account without an owner before; None where they are not."""
    was_owned: bool
    """Whether the account had an owner before, even if no topic tells of one any more."""


class TermDependencies(Struct, frozen=True):
    """What a term is made of besides its account."""

    membership: Membership
    publisher: Publisher
    rest: VenueRest
    open_session: Callable[[SessionListener, float], VenueSession]
    """Takes the listener, and when a predecessor may last have logged in."""
    encode: EncodeAction
    clock: Clock
    key_fingerprint: Callable[[], str]
    """A digest of the API key that is in its file now; empty where it cannot be read."""
    read_commands: ReadCommands
    topics: TopicReplay
    result_log: ResultLog
    topic_watch: TopicWatch
    metrics: AccountMetrics
    late_after_s: float = LATE_AFTER_S
    """When, after a takeover or a renewal of the producer, nothing old can arrive any more."""


class SupervisorDependencies(Struct, frozen=True):
    """What the supervisor of an account makes its terms of."""

    start: Callable[[], Awaitable[None]]
    """Prepares what all terms share; called before each."""
    join: Callable[[Callable[[], None]], Membership]
    """Returns a new member of the group; what it takes is called after a rebalance."""
    take_over: Callable[[Membership], Awaitable[Account]]
    new_term: Callable[[Membership], TermDependencies]
    topics: TopicWatch
    key_changed: Callable[[], Awaitable[object]]
    """Returns when the files hold another key than the one that the venue refused."""
    describe_refusal: Callable[[], str | None]
    """Says that the brokers refuse the password; None where they do not."""
    random: Callable[[], float]
    clock: Clock
