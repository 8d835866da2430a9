"""Liveness and readiness on the management port.

`/livez` answers while the event loop turns. `/readyz` answers 200 when every account of this process does its part, as
owner with a live session or as standby in its group, and 503 with the reasons otherwise. A venue outage makes the
process unready, never dead: a restart would mend nothing.
"""

import errno
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import msgspec
from aiohttp import web
from msgspec import Struct

from bridge.admin.bounded_server import serve_bounded
from bridge.errors import ConfigError


class MissingPart(Struct, frozen=True):
    """What an account lacks, since when (Unix ms) and why."""

    what: str
    since_ms: int
    detail: str


class AccountHealth(Struct, frozen=True):
    """How one account does in this process; it is ready when nothing is missing."""

    ready: bool
    phase: str
    detail: str = ""
    missing: Sequence[MissingPart] = ()


Look = Callable[[], Mapping[str, AccountHealth]]


def application(look: Look) -> web.Application:
    """Build the pages; `look` tells how each account does."""

    async def livez(_: web.Request) -> web.Response:
        return _page({"alive": True}, 200)

    async def readyz(_: web.Request) -> web.Response:
        accounts = look()
        ready = bool(accounts) and all(health.ready for health in accounts.values())
        return _page({"ready": ready, "accounts": accounts}, 200 if ready else 503)

    app = web.Application()
    app.router.add_get("/livez", livez)
    app.router.add_get("/readyz", readyz)
    return app


def _page(content: dict[str, Any], status: int) -> web.Response:
    """Write a page in ASCII: it is read on terminals, and says what the venue wrote."""
    page = web.json_response(msgspec.to_builtins(content), status=status)
    page.force_close()  # one request for each connection
    return page


@asynccontextmanager
async def serve(host: str, port: int, look: Look) -> AsyncIterator[int]:
    """Serve the pages; gives the port that was bound.

    Raises OSError when the port is taken, and ConfigError when it cannot be listened on for another reason.
    """
    async with AsyncExitStack() as stack:
        try:
            bound = await stack.enter_async_context(serve_bounded(application(look), host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise
            problem = f"management: {host} and port {port} cannot be listened on ({error.strerror or error})"
            raise ConfigError(
                [f"{problem}; set management.host and management.port to what this machine has"]
            ) from None
        yield bound
