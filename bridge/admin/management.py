"""The management port: probes, metrics and the status page. It is read-only."""

import errno
import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager

from aiohttp import web
from aiohttp.typedefs import Handler

from bridge.admin.bounded_server import serve_bounded
from bridge.admin.server_certificate import ServerCertificate
from bridge.config.process import Management
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


def _make_context_reader(settings: Management) -> Callable[[], ssl.SSLContext] | None:
    """Return what reads the TLS context, or None for plain HTTP. Raises ConfigError."""
    if settings.tls_files is None:
        return None
    try:
        return ServerCertificate(*settings.tls_files).read_context
    except ValueError as error:  # the files were replaced since the settings were read
        raise ConfigError([f"management: {error}"]) from None


@asynccontextmanager
async def serve(settings: Management, routes: Iterable[web.RouteDef]) -> AsyncIterator[int]:
    """Serve the pages, over TLS where the settings name a certificate; yield the port that was bound.

    Raises OSError when the port is taken, and ConfigError when it cannot be listened on for another reason.
    """
    async with AsyncExitStack() as stack:
        try:
            serving = serve_bounded(
                build_application(routes), settings.host, settings.port, read_context=_make_context_reader(settings)
            )
            bound = await stack.enter_async_context(serving)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise
            problem = f"management: {settings.host} and port {settings.port} cannot be listened on"
            remedy = "set management.host and management.port to an address and port of this machine"
            raise ConfigError([f"{problem} ({error.strerror or error}); {remedy}"]) from None
        yield bound
