"""Liveness and readiness on the management port.

`/livez` answers while the event loop runs. `/readyz` answers 200 when every account of this process is ready, as owner
with a live session or as standby in its group; otherwise it answers 503 with the reasons. An outage of the venue makes
the process unready and never dead, because a restart would not help.
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
    """What an account needs and does not have, since when (Unix ms) and why."""

    what: str
    since_ms: int
    detail: str


class AccountHealth(Struct, frozen=True):
    """The state of one account in this process. It is ready when `missing` is empty."""

    ready: bool
    phase: str
    detail: str = ""
    missing: Sequence[MissingPart] = ()


ReadHealth = Callable[[], Mapping[str, AccountHealth]]


def build_application(read_health: ReadHealth) -> web.Application:
    """Build the pages; `read_health` returns the health of each account by name."""

    async def livez(_: web.Request) -> web.Response:
        return _build_page({"alive": True}, 200)

    async def readyz(_: web.Request) -> web.Response:
        accounts = read_health()
        ready = bool(accounts) and all(health.ready for health in accounts.values())
        return _build_page({"ready": ready, "accounts": accounts}, 200 if ready else 503)

    app = web.Application()
    app.router.add_get("/livez", livez)
    app.router.add_get("/readyz", readyz)
    return app


def _build_page(content: dict[str, Any], status: int) -> web.Response:
    """Return a page in ASCII: people read it on terminals, and it quotes what the venue sent."""
    page = web.json_response(msgspec.to_builtins(content), status=status)
    page.force_close()  # one request for each connection
    return page


@asynccontextmanager
async def serve(host: str, port: int, read_health: ReadHealth) -> AsyncIterator[int]:
    """Serve the pages; yield the port that was bound.

    Raises OSError when the port is taken, and ConfigError when it cannot be listened on for another reason.
    """
    async with AsyncExitStack() as stack:
        try:
            bound = await stack.enter_async_context(serve_bounded(build_application(read_health), host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise
            problem = f"management: {host} and port {port} cannot be listened on ({error.strerror or error})"
            raise ConfigError(
                [f"{problem}; set management.host and management.port to an address and port of this machine"]
            ) from None
        yield bound
