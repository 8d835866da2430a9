"""Whose an account is: it belongs to one environment and one portfolio at the venue."""

from collections.abc import Awaitable, Callable, Sequence

import structlog
from msgspec import Struct

from bridge.core.commands.claims import CommitMetadata, Origin
from bridge.core.replay import find_portfolios
from bridge.core.takeover_plan import describe_other_environment, describe_other_portfolio, key_has_changed
from bridge.flow.topic_replay import TopicReplay

_log = structlog.get_logger()


class Identity(Struct, frozen=True):
    """For whom this process acts: the environment, a digest of its API key, and what the venue shows to that key.

    `read_holdings` returns the balances and positions of the key, in the shape of their pushes.
    """

    environment: str
    key_fingerprint: str
    read_holdings: Callable[[], Awaitable[Sequence[bytes]]]


async def find_foreign_owner(
    name: str, stored: CommitMetadata, own: Origin, *, topics: TopicReplay, identity: Identity
) -> str | None:
    """Return why the account is not ours, as text; None where it is, also with a new API key of its portfolio."""
    why = describe_other_environment(stored, own)
    if why is not None or not key_has_changed(stored, own):
        return why
    ours = frozenset(find_portfolios(await identity.read_holdings()))
    why = describe_other_portfolio(stored, own, await topics.read_portfolios(), ours)
    if why is None:
        _log.info("account.key_changed", account=name, fingerprint=own.key_fingerprint)
    return why
