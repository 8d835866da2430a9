"""The resolver of host names: in its own threads, in bounded time, and also while the name service fails."""

import asyncio
import socket
import threading
from concurrent.futures import Future
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult

LOOKUP_TIMEOUT_S: Final = 3.0

_Addresses = list[tuple[int, str]]
"""The address's family and the address."""


class CachingResolver(AbstractResolver):
    """A resolver that returns the last reachable addresses of a host when its lookup fails.

    That is safe: TLS verifies the host's name at every address. One lookup of a name runs at a time, in a daemon
    thread, so there are never more threads than names, and the end of the process waits for none.
    """

    def __init__(self) -> None:
        self._lookups: dict[str, Future[_Addresses]] = {}
        self._latest: dict[str, _Addresses] = {}
        self._reachable: dict[str, _Addresses] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a host, of every family. Raises OSError, after `LOOKUP_TIMEOUT_S` at the latest."""
        del family
        try:
            async with asyncio.timeout(LOOKUP_TIMEOUT_S):
                addresses = await asyncio.wrap_future(self._start_lookup(host))
        except (OSError, UnicodeError) as error:
            if host not in self._reachable:
                reason = str(error) or f"no answer within {LOOKUP_TIMEOUT_S:g} s"
                raise OSError(f"the name does not resolve: {reason}") from None
            addresses = self._reachable[host]
        else:
            self._latest[host] = addresses
        return [
            ResolveResult(hostname=host, host=address, port=port, family=kind, proto=0, flags=socket.AI_NUMERICHOST)
            for kind, address in addresses
        ]

    def mark_reachable(self, host: str) -> None:
        """Note that a server at one of the latest addresses of a host has answered."""
        if host in self._latest:
            self._reachable[host] = self._latest[host]

    async def close(self) -> None:
        """Close nothing: the resolver holds no resources."""

    def _start_lookup(self, host: str) -> Future[_Addresses]:
        running = self._lookups.get(host)
        if running is None or running.done():
            running = Future()
            running.set_running_or_notify_cancel()  # from here on a caller that stops waiting cannot cancel it
            threading.Thread(target=_look_up_host, args=(host, running), name=f"resolve:{host}", daemon=True).start()
            self._lookups[host] = running
        return running


def _look_up_host(host: str, answer: Future[_Addresses]) -> None:
    try:
        rows = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    except Exception as error:  # noqa: BLE001 - `resolve` raises it again
        answer.set_exception(error)
    else:
        answer.set_result(list(dict.fromkeys((int(family), str(address[0])) for family, _, _, _, address in rows)))
