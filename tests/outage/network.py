"""Two network namespaces with a router between them that drops every packet while it is told to."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

BROKER_ADDRESS: Final = "10.213.1.1"
_CLIENT_ADDRESS: Final = "10.213.2.1"
_PREFIXES: Final = {BROKER_ADDRESS: "10.213.1", _CLIENT_ADDRESS: "10.213.2"}
_STILL_SENDING: Final = {"04": "FIN-WAIT-1", "09": "LAST-ACK", "0B": "CLOSING"}
"""States of a socket that was closed, and whose bytes the kernel goes on sending (Linux, /proc/net/tcp)."""


class NoNamespaces(Exception):
    """This machine or user cannot make network namespaces; the text says what is missing."""


def _ip(*arguments: str) -> str:
    command = ["ip", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - of our own making
    if done.returncode != 0:
        raise NoNamespaces(f"`{' '.join(command)}` failed: {done.stderr.strip() or done.returncode}")
    return done.stdout


class Network:
    """The namespaces `broker` and `client`, by name, and the way between them; `run` tells it from others.

    Raises NoNamespaces where this machine or user cannot have any.
    """

    def __init__(self, run: int) -> None:
        self.run = run
        if shutil.which("ip") is None:
            raise NoNamespaces("the command `ip` is missing: install iproute2")
        if os.geteuid() != 0:
            raise NoNamespaces("only root may make network namespaces: run it as root (sudo make outage)")
        self.broker, self._router, self.client = (f"ltp-{name}-{run}" for name in ("b", "r", "c"))
        self._made: list[str] = []

    def make(self) -> None:
        """Make it. Raises NoNamespaces."""
        for name in (self.broker, self._router, self.client):
            _ip("netns", "add", name)
            self._made.append(name)
            _ip("-n", name, "link", "set", "lo", "up")
        for name, address in ((self.broker, BROKER_ADDRESS), (self.client, _CLIENT_ADDRESS)):
            there, here = ("b0", "b1") if name == self.broker else ("c0", "c1")
            _ip("link", "add", there, "netns", name, "type", "veth", "peer", "name", here, "netns", self._router)
            _ip("-n", name, "addr", "add", f"{address}/24", "dev", there)
            _ip("-n", self._router, "addr", "add", f"{_PREFIXES[address]}.2/24", "dev", here)
            _ip("-n", name, "link", "set", there, "up")
            _ip("-n", self._router, "link", "set", here, "up")
            _ip("-n", name, "route", "add", "default", "via", f"{_PREFIXES[address]}.2")
        _ip("netns", "exec", self._router, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")

    def remove(self) -> None:
        """Remove what was made."""
        while self._made:
            _ip("netns", "del", self._made.pop())

    def drop_packets(self) -> None:
        """Drop everything between the two, silently, from now on."""
        for address in _PREFIXES:
            _ip("-n", self._router, "route", "add", "blackhole", f"{address}/32")

    def pass_packets(self) -> None:
        """Pass everything on again."""
        for address in _PREFIXES:
            _ip("-n", self._router, "route", "del", "blackhole", f"{address}/32")

    def sockets_still_sending(self) -> list[str]:
        """Return the closed sockets of the client's side whose bytes its kernel still tries to deliver."""
        lines = _ip("netns", "exec", self.client, "cat", "/proc/net/tcp").splitlines()[1:]
        fields = [line.split() for line in lines]
        return [
            f"{_STILL_SENDING[one[3]]} with {int(one[4][:8], 16)} bytes" for one in fields if one[3] in _STILL_SENDING
        ]


@contextmanager
def network() -> Iterator[Network]:
    """Have a network for the length of the block. Raises NoNamespaces."""
    made = Network(os.getpid())
    try:
        made.make()
        yield made
    finally:
        made.remove()
