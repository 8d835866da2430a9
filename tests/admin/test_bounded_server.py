"""The management port limits how many connections callers hold open, and for how long."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from bridge.admin.bounded_server import CONNECTION_S, CONNECTIONS_MAX, serve_bounded
from bridge.admin.health import AccountHealth, make_probe_routes
from bridge.admin.management import build_application, serve
from bridge.config import Management
from bridge.errors import ConfigError
from tests.witness.waiting import until

HALF = b"GET /livez HTTP/1.1\r\nX: "


def _look() -> dict[str, AccountHealth]:
    return {"main": AccountHealth(ready=True, phase="owner", detail="\x9b2J\u202e\x1b[2J")}


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@contextlib.asynccontextmanager
async def _callers(port: int, count: int, said: bytes) -> AsyncIterator[list[asyncio.StreamReader]]:
    """Open connections, send bytes on each and keep them open."""
    opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(count)]
    try:
        for _, writer in opened:
            writer.write(said)
        yield [reader for reader, _ in opened]
    finally:
        for _, writer in opened:
            writer.transport.abort()


async def _answer(port: int, path: str) -> int:
    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}{path}") as answer:
        return answer.status


async def test_many_half_requests_take_few_descriptors() -> None:
    """While many callers send half a request, a probe gets its answer and the process keeps its descriptors."""
    async with serve(Management(port=0), make_probe_routes(_look)) as port:
        before = _descriptors()
        async with _callers(port, 400, HALF):
            assert await _answer(port, "/livez") == 200
            assert await _answer(port, "/readyz") == 200
            # The callers' own ends are in this process, too.
            await until(lambda: _descriptors() - before <= 400 + CONNECTIONS_MAX)


@pytest.mark.parametrize(
    "said", [b"", HALF, b"POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n", b"\x16\x03\x01"]
)
async def test_no_connection_lives_for_long(said: bytes) -> None:
    """A connection is ended after its time, no matter what its caller has sent."""
    async with (
        serve_bounded(build_application(make_probe_routes(_look)), "127.0.0.1", 0, connection_s=0.2) as port,
        _callers(port, 3, said) as held,
    ):
        async with asyncio.timeout(20):
            with contextlib.suppress(ConnectionError):
                await asyncio.gather(*(reader.read() for reader in held))


async def test_a_caller_that_reads_nothing_is_ended() -> None:
    """Answers for it pile up neither in the kernel nor in the process."""
    requests = b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n" * 2000
    async with serve_bounded(build_application(make_probe_routes(_look)), "127.0.0.1", 0, connection_s=0.2) as port:
        before = _descriptors()
        async with _callers(port, 8, requests):
            await until(lambda: _descriptors() - before <= 8)


async def test_a_connection_has_one_request() -> None:
    """A flood of requests on one connection gets one answer."""
    async with (
        serve(Management(port=0), make_probe_routes(_look)) as port,
        _callers(port, 1, HALF.replace(b"X: ", b"Host: x\r\n\r\n") * 50) as held,
    ):
        said = b""
        with contextlib.suppress(ConnectionError):
            said = await asyncio.wait_for(held[0].read(), CONNECTION_S * 4)
        assert said.count(b"HTTP/1.1 200") == 1
        assert b"Connection: close" in said


async def test_the_end_does_not_wait_for_callers() -> None:
    """A process that stops does not wait for the rest of half a request."""
    async with contextlib.AsyncExitStack() as stack:
        serving = contextlib.AsyncExitStack()
        port = await serving.enter_async_context(serve(Management(port=0), make_probe_routes(_look)))
        await stack.enter_async_context(_callers(port, 10, HALF))
        began = time.monotonic()
        await serving.aclose()
        assert time.monotonic() - began < CONNECTION_S * 0.9


async def test_pages_are_plain_ascii() -> None:
    """Text of the venue or a broker in a detail is escaped for a terminal, and programs read it unchanged."""
    async with (
        serve(Management(port=0), make_probe_routes(_look)) as port,
        aiohttp.ClientSession() as http,
        http.get(f"http://127.0.0.1:{port}/readyz") as answer,
    ):
        said = await answer.read()
        assert (await answer.json())["accounts"]["main"]["detail"] == "\x9b2J\u202e\x1b[2J"
    assert said.isascii()
    assert b"\x1b" not in said


@pytest.mark.parametrize(("host", "port"), [("192.0.2.1", 0), ("no-such-host.invalid", 0)])
async def test_an_address_that_cannot_be_bound_names_its_settings(host: str, port: int) -> None:
    """An address of another machine, and a name without an address, are configuration errors."""
    with pytest.raises(ConfigError, match=r"set management\.host and management\.port"):
        async with serve(Management(host=host, port=port), make_probe_routes(_look)):
            pass
