"""The resolver: in bounded time, in its own threads, and with the last reachable addresses."""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from bridge.contract.session import Cause
from bridge.ltp import resolver as resolver_room
from bridge.ltp.connection import LinkEnded, connect
from bridge.ltp.network import load_network_settings
from bridge.ltp.resolver import CachingResolver

Talk = Callable[[web.WebSocketResponse], Awaitable[None]]
LOCAL = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]


class NameService:
    """A name service that answers in place of the operating system's, in the resolver's threads."""

    def __init__(self) -> None:
        self.trouble: Exception | None = None
        self.asked: list[str] = []
        self.threads: set[str] = set()
        self.speaks = threading.Event()
        self.speaks.set()

    def look_up(self, host: str, *rest: Any, **named: Any) -> list[Any]:  # noqa: ANN401 - as the original
        """Return the addresses of a host, as soon as the service answers."""
        self.asked.append(host)
        self.threads.add(threading.current_thread().name)
        self.speaks.wait(5)
        if self.trouble is not None:
            raise self.trouble
        return LOCAL


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> NameService:
    """Return the name service in use."""
    made = NameService()
    monkeypatch.setattr(socket, "getaddrinfo", made.look_up)
    return made


async def receive_first_frame(url: str) -> bytes:
    """Connect, and return the first frame."""
    async with connect(url, network=load_network_settings(), timeout_s=5) as connection:
        return await connection.receive()


async def greet(ws: web.WebSocketResponse) -> None:
    """Send one frame."""
    await ws.send_str("hello")


async def test_a_name_is_resolved_in_a_thread_of_our_own(service: NameService) -> None:
    """The address has the requested port, and the event loop's threads are not used."""
    (found,) = await CachingResolver().resolve("venue.test", 443)
    assert (found["host"], found["port"], found["family"]) == ("127.0.0.1", 443, socket.AF_INET)
    assert service.threads == {"resolve:venue.test"}


async def test_a_name_service_that_is_silent(service: NameService, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each caller waits for the deadline at most, and all callers of one name share one lookup."""
    monkeypatch.setattr(resolver_room, "LOOKUP_TIMEOUT_S", 0.1)
    service.speaks.clear()
    resolver = CachingResolver()
    asking = [resolver.resolve("venue.test") for _ in range(5)]
    for answer in await asyncio.gather(*asking, return_exceptions=True):
        assert isinstance(answer, OSError)
        assert str(answer) == "the name does not resolve: no answer within 0.1 s"
    assert service.asked == ["venue.test"]
    service.speaks.set()


async def test_a_late_answer_reaches_the_callers_that_wait(
    service: NameService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A caller that gives up does not end the lookup for another."""
    service.speaks.clear()
    resolver = CachingResolver()
    gone, patient = (asyncio.create_task(resolver.resolve("venue.test")) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    service.speaks.set()
    assert [one["host"] for one in await patient] == ["127.0.0.1"]


@pytest.mark.parametrize("trouble", [socket.gaierror(-3, "Temporary failure"), UnicodeError("label too long")])
async def test_without_a_name_service_the_last_good_address_serves(
    service: NameService, venue: Callable[[Talk], Awaitable[str]], trouble: Exception
) -> None:
    """After a connection was made, the name need not resolve again."""
    url = (await venue(greet)).replace("127.0.0.1", f"good-{type(trouble).__name__}.test")
    assert await receive_first_frame(url) == b"hello"
    service.trouble = trouble
    assert await receive_first_frame(url) == b"hello"
    assert len(service.asked) == 2


async def test_an_unreachable_address_is_not_kept(service: NameService, unused_tcp_port: int) -> None:
    """An address counts as reachable after a server answered there."""
    url = f"ws://nowhere.test:{unused_tcp_port}/"
    with pytest.raises(LinkEnded) as caught:
        await receive_first_frame(url)
    assert caught.value.cause == Cause.LINK_FAILED
    service.trouble = socket.gaierror(-2, "Name or service not known")
    with pytest.raises(LinkEnded) as caught:
        await receive_first_frame(url)
    assert caught.value.cause == Cause.NAME_NOT_RESOLVED
    assert "no connection to nowhere.test: the name does not resolve: [Errno -2]" in caught.value.detail


@pytest.mark.usefixtures("trusted")
async def test_the_host_is_verified_at_every_address(
    service: NameService, tls_venue: Callable[[Talk], Awaitable[int]]
) -> None:
    """A name service that returns another server's address gives no connection."""

    async def talk(ws: web.WebSocketResponse) -> None:
        raise AssertionError("opened with the certificate of another host")

    with pytest.raises(LinkEnded) as caught:
        await receive_first_frame(f"wss://venue.test:{await tls_venue(talk)}/")
    assert caught.value.cause == Cause.TLS_FAILED
    assert "certificate is not valid for 'venue.test'" in caught.value.detail
