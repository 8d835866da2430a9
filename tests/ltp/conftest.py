"""Small venues over real sockets that do what a test gives them."""

import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web

from bridge.config import AccountConfig, Timing
from bridge.core.now import Now

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
Talk = Callable[[web.WebSocketResponse], Awaitable[None]]

TLS = Path(__file__).parent / "tls"


async def _start(stack: AsyncExitStack, answer: Answer, tls: ssl.SSLContext | None = None) -> int:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    return int(runner.addresses[0][1])


def _socket_answer(talk: Talk) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        ws = web.WebSocketResponse(max_msg_size=0)
        await ws.prepare(request)
        await talk(ws)
        return ws

    return answer


@pytest_asyncio.fixture(loop_scope="session")
async def serve() -> AsyncIterator[Callable[[Answer], Awaitable[str]]]:
    """Return a function that starts an HTTP server and returns its host and port."""
    async with AsyncExitStack() as stack:

        async def start(answer: Answer) -> str:
            return f"127.0.0.1:{await _start(stack, answer)}"

        yield start


@pytest_asyncio.fixture(loop_scope="session")
async def venue() -> AsyncIterator[Callable[[Talk], Awaitable[str]]]:
    """Return a function that starts a WebSocket server and returns its URL."""
    async with AsyncExitStack() as stack:

        async def start(talk: Talk) -> str:
            return f"ws://127.0.0.1:{await _start(stack, _socket_answer(talk))}/v1/private"

        yield start


@pytest_asyncio.fixture(loop_scope="session")
async def tls_venue() -> AsyncIterator[Callable[[Talk], Awaitable[int]]]:
    """Return a function that starts a WebSocket server with a certificate for `localhost` and returns its port."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(TLS / "localhost.pem", TLS / "localhost.key")
    context.set_alpn_protocols(["h2", "http/1.1"])
    async with AsyncExitStack() as stack:

        async def start(talk: Talk) -> int:
            return await _start(stack, _socket_answer(talk), context)

        yield start


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust the certificate of `tls_venue`."""
    monkeypatch.setenv("SSL_CERT_FILE", str(TLS / "localhost.pem"))


@pytest.fixture
def account(tmp_path: Path) -> AccountConfig:
    """Return an account whose key is `ak-test` and whose secret is `sk-test-secret`."""
    key, secret = tmp_path / "key", tmp_path / "secret"
    key.write_text("ak-test\n")
    secret.write_text("sk-test-secret\n")
    return AccountConfig(api_key_file=key, api_secret_file=secret)


@pytest.fixture
def timing() -> Timing:
    """Return durations that a test can wait for. The settings do not allow such a short login spacing."""
    quick = {"login_spacing_s": 0.05, "reconnect_cap_s": 0.1, "connect_timeout_s": 2.0, "login_give_up_s": 0.1}
    return Timing().model_copy(update=quick)


@pytest.fixture(autouse=True)
def _quick_refusals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait a tenth of a second after a refused login, not half a minute."""
    monkeypatch.setattr("bridge.ltp.login_refusals.WAIT_FIRST_S", 0.1)
    monkeypatch.setattr("bridge.ltp.login_refusals.WAIT_LAST_S", 0.1)


@pytest.fixture
def clock() -> Callable[[], Now]:
    """Return the real time."""
    return lambda: Now(time.monotonic(), time.time_ns() // 1_000_000)
