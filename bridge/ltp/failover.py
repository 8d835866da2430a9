"""The choice among endpoints: how it begins, and what is tried at the preferred one before the session goes back."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import structlog

from bridge.config import Endpoint, Timing
from bridge.core.endpoints import EndpointSelector
from bridge.core.now import Now
from bridge.ltp.connection import LinkEnded, connect
from bridge.ltp.network import Way

_log = structlog.get_logger()

PROBE_TIMEOUT_S: Final = 5.0
STAYS_OPEN_S: Final = 1.0
"""So long a WebSocket that is only tried has to stay open: a venue may take every handshake and hang up behind it."""

Probe = Callable[[str], Awaitable[bool]]
"""Whether REST answers at the endpoint of that name. It does not raise, and it ends in time."""


def begin_choice(endpoints: Sequence[Endpoint], timing: Timing) -> EndpointSelector:
    """Return the choice among endpoints of which nothing is known yet."""
    return EndpointSelector(
        len(endpoints),
        failover_after_s=timing.failover_after_s,
        failback_stable_s=timing.failback_stable_s,
        failback_period_s=timing.failback_period_s,
    )


async def wait_for_preferred(
    preferred: Endpoint, choice: EndpointSelector, probe: Probe, *, way: Way, clock: Callable[[], Now]
) -> None:
    """Probe the preferred endpoint while the session is at another, and return when it may go back.

    REST has to answer, and a WebSocket to open: each may be down without the other.
    """
    while True:
        await asyncio.sleep(choice.probe_period_s)
        if choice.current == 0:
            continue
        asked = clock()
        good = await probe(preferred.name) and await takes_websockets(preferred, way)
        if choice.probed(asked, clock(), good=good):
            return


async def takes_websockets(endpoint: Endpoint, way: Way) -> bool:
    """Whether a WebSocket opens at an endpoint and stays open for a moment; nobody logs in on it."""
    try:
        async with connect(endpoint.ws_url, way=way, timeout_s=PROBE_TIMEOUT_S) as connection:
            async with asyncio.timeout(STAYS_OPEN_S):
                await connection.receive()
    except TimeoutError:
        return True
    except LinkEnded as error:
        _log.info("session.probe_failed", endpoint=endpoint.name, detail=error.detail)
        return False
    return True
