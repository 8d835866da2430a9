"""Liveness and readiness on the management port.

`/livez` answers while the event loop turns. `/readyz` answers 200 when every account of this process does its part, as
owner with a live session or as standby in its group, and 503 with the reasons otherwise. A venue outage makes the
process unready, never dead: a restart would mend nothing.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import msgspec
from aiohttp import web
from msgspec import Struct


class AccountHealth(Struct, frozen=True):
    """How one account does in this process."""

    ready: bool
    phase: str
    detail: str = ""


Look = Callable[[], Mapping[str, AccountHealth]]


def application(look: Look) -> web.Application:
    """Build the pages; `look` tells how each account does."""

    async def livez(_: web.Request) -> web.Response:
        return web.json_response({"alive": True})

    async def readyz(_: web.Request) -> web.Response:
        accounts = look()
        ready = bool(accounts) and all(health.ready for health in accounts.values())
        body = msgspec.json.encode({"ready": ready, "accounts": accounts})
        return web.Response(body=body, status=200 if ready else 503, content_type="application/json")

    app = web.Application()
    app.router.add_get("/livez", livez)
    app.router.add_get("/readyz", readyz)
    return app


@asynccontextmanager
async def serve(host: str, port: int, look: Look) -> AsyncIterator[int]:
    """Serve the pages; gives the port that was bound. Raises OSError when it is taken."""
    runner = web.AppRunner(application(look), access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()
