"""The management port: probes, metrics and the status page. It is read-only."""

import errno
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager

from aiohttp import web
from aiohttp.typedefs import Handler

from bridge.admin.bounded_server import serve_bounded
from bridge.errors import ConfigError


@web.middleware
async def _close_after_answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer one request for each connection."""
    try:
        answer = await handler(request)
    except web.HTTPException as refusal:
        refusal.force_close()
        raise
    answer.force_close()
    return answer


def build_application(routes: Iterable[web.RouteDef]) -> web.Application:
    """Return the pages as an application that answers one request for each connection."""
    application = web.Application(middlewares=[_close_after_answer])
    application.router.add_routes(routes)
    return application


@asynccontextmanager
async def serve(host: str, port: int, routes: Iterable[web.RouteDef]) -> AsyncIterator[int]:
    """Serve the pages; yield the port that was bound.

    Raises OSError when the port is taken, and ConfigError when it cannot be listened on for another reason.
    """
    async with AsyncExitStack() as stack:
        try:
            bound = await stack.enter_async_context(serve_bounded(build_application(routes), host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise
            problem = f"management: {host} and port {port} cannot be listened on ({error.strerror or error})"
            raise ConfigError(
                [f"{problem}; set management.host and management.port to an address and port of this machine"]
            ) from None
        yield bound
