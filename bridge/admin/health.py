"""Liveness and readiness on the management port.

`/livez` answers while the event loop runs. `/readyz` answers 200 when every account of this process is ready, as owner
with a live session or as standby in its group; otherwise it answers 503 with the reasons. An outage of the venue makes
the process unready and never dead, because a restart would not help.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from aiohttp import web
from msgspec import Struct


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


def make_probe_routes(read_health: ReadHealth) -> list[web.RouteDef]:
    """Return the routes of both probes; `read_health` returns the health of each account by name."""

    async def livez(_: web.Request) -> web.Response:
        return build_json_page({"alive": True}, 200)

    async def readyz(_: web.Request) -> web.Response:
        accounts = read_health()
        ready = bool(accounts) and all(health.ready for health in accounts.values())
        return build_json_page({"ready": ready, "accounts": accounts}, 200 if ready else 503)

    return [web.get("/livez", livez), web.get("/readyz", readyz)]


def build_json_page(content: dict[str, Any], status: int) -> web.Response:
    """Return a page in ASCII: people read it on terminals, and it quotes what the venue sent."""
    return web.json_response(msgspec.to_builtins(content), status=status)
