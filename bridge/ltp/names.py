"""Host names to addresses, in threads of their own, in bounded time, and also while the name service is away."""

import asyncio
import socket
import threading
from concurrent.futures import Future
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult

ANSWER_DEADLINE_S: Final = 3.0

_Addresses = list[tuple[int, str]]
"""Family and address."""


class Names(AbstractResolver):
    """Resolves names. Where that fails, it gives the addresses with which the last connection was made.

    That is no risk: TLS verifies the host's name, whatever the address. One lookup of a name runs at a time, in a
    thread that nobody waits for at the end of the process; so there are never more threads than names.
    """

    def __init__(self) -> None:
        self._lookups: dict[str, Future[_Addresses]] = {}
        self._latest: dict[str, _Addresses] = {}
        self._proved: dict[str, _Addresses] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a host, of whatever family. Raises OSError, within `ANSWER_DEADLINE_S`."""
        del family
        try:
            async with asyncio.timeout(ANSWER_DEADLINE_S):
                addresses = await asyncio.wrap_future(self._lookup(host))
        except (OSError, UnicodeError) as error:
            if host not in self._proved:
                reason = str(error) or f"no answer within {ANSWER_DEADLINE_S:g} s"
                raise OSError(f"the name does not resolve: {reason}") from None
            addresses = self._proved[host]
        else:
            self._latest[host] = addresses
        return [
            ResolveResult(hostname=host, host=address, port=port, family=kind, proto=0, flags=socket.AI_NUMERICHOST)
            for kind, address in addresses
        ]

    def proved(self, host: str) -> None:
        """Note that a server at one of the latest addresses of a host has answered."""
        if host in self._latest:
            self._proved[host] = self._latest[host]

    async def close(self) -> None:
        """Nothing is held."""

    def _lookup(self, host: str) -> Future[_Addresses]:
        running = self._lookups.get(host)
        if running is None or running.done():
            running = Future()
            running.set_running_or_notify_cancel()  # from here on nobody who gives up waiting can cancel it
            threading.Thread(target=_look_up, args=(host, running), name=f"resolve:{host}", daemon=True).start()
            self._lookups[host] = running
        return running


def _look_up(host: str, answer: Future[_Addresses]) -> None:
    try:
        rows = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    except Exception as error:  # noqa: BLE001 - it is raised again where the answer is awaited
        answer.set_exception(error)
    else:
        answer.set_result(list(dict.fromkeys((int(family), str(address[0])) for family, _, _, _, address in rows)))
