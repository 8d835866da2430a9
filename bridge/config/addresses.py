"""Check addresses in settings. Only plain forms pass, which every parser reads in the same way."""

import ipaddress
import re
from typing import Final, NamedTuple

_NUMBER_MAX: Final = 65535
_HOST: Final = r"(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])"
_SERVER: Final = re.compile(rf"{_HOST}(:(?P<port>[0-9]+))?")
_URL: Final = re.compile(rf"(?P<scheme>[a-z]+)://{_HOST}(:(?P<port>[0-9]+))?(?P<path>(/[A-Za-z0-9._~-]*)*)")
_LABEL: Final = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")


class Address(NamedTuple):
    """The parts of a URL; `path` without a slash at its end."""

    scheme: str
    host: str
    path: str


def parse_url(text: str) -> Address:
    """Return the parts of a URL. Raises ValueError, whose text does not show the URL: it may hold a password."""
    if "@" in text:
        raise ValueError("must hold no user and no password; write the address alone")
    found = _URL.fullmatch(text)
    if found is None:
        raise ValueError("must be an address such as https://host:443/path, without query, fragment, spaces or %")
    _check_host(found["host"])
    _check_port(found["port"])
    return Address(found["scheme"], found["host"], found["path"].rstrip("/"))


def check_servers(text: str) -> str:
    """Check a list of `host:port`, separated by commas; return it without spaces. Raises ValueError."""
    servers = [part.strip() for part in text.split(",")]
    for number, server in enumerate(servers, 1):
        found = _SERVER.fullmatch(server)
        if found is None:
            raise ValueError(
                f"server {number} of the list must be host:port, such as kafka-0:9092, with a number for its port and "
                "without scheme, user or path; commas separate servers"
            )
        _check_host(found["host"])
        _check_port(found["port"])
    return ",".join(servers)


def check_host(text: str) -> str:
    """Check an address or a name to listen on. Raises ValueError."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        _check_host(text)
    return text


def is_this_machine(host: str) -> bool:
    """Return whether a host is certainly this machine: a loopback address in its usual form, or localhost."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def parse_hosts(text: str) -> list[str]:
    """Return the hosts of a checked list of servers."""
    return [found["host"] for part in text.split(",") if (found := _SERVER.fullmatch(part))]


def _check_host(host: str) -> None:
    if host.startswith("["):
        try:
            ipaddress.IPv6Address(host[1:-1])
        except ValueError:
            raise ValueError("must hold a complete IPv6 address between its brackets") from None
        return
    labels = host.removesuffix(".").split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):  # noqa: PLR2004 - the limit of DNS
        raise ValueError("must name a host: letters, digits, dashes and dots")
    if re.fullmatch(r"0[xX][0-9A-Fa-f]*|[0-9]+", labels[-1]):
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            raise ValueError("must name a host or an IPv4 address of four numbers, such as 127.0.0.1") from None


def _check_port(port: str | None) -> None:
    if port is not None and not 1 <= int(port[:6]) <= _NUMBER_MAX:
        raise ValueError(f"must hold a port from 1 to {_NUMBER_MAX}")
