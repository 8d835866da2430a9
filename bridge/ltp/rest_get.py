"""Signed GETs (LTP docs, Authentication): at one endpoint as long as it answers, and never more often than allowed."""

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import structlog
from aiohttp import ClientResponse, ClientTimeout
from msgspec import Raw, Struct

from bridge.config import Account, Endpoint
from bridge.core.now import Now
from bridge.core.skew import ClockReading
from bridge.errors import VenueRefused, VenueUnreachable
from bridge.ltp import codes, wire
from bridge.ltp.http_date import parse_http_date
from bridge.ltp.keys import read_keys
from bridge.ltp.network import Way, http_session, way_to_venue
from bridge.ltp.rest_pace import Family, Pace
from bridge.ltp.signing import rest_signature, without_secrets

_log = structlog.get_logger()

TOTAL_TIMEOUT_S: Final = 10.0
CONNECT_TIMEOUT_S: Final = 5.0
ANSWER_BYTES_MAX: Final = 4 * 1024 * 1024
"""A page of 1,000 rows has a quarter of it."""
_OK: Final = range(200, 300)
_SERVER_FAULT: Final = 500
_TOO_MANY_REQUESTS: Final = frozenset({429, 100_429})
_DATE_GRANULARITY_MS: Final = 1000


class Route(NamedTuple):
    """A path that can be asked, and the limit it counts against."""

    path: str
    family: Family


class _Envelope(Struct):
    code: Any = None
    message: Any = None
    msg: Any = None
    data: Raw = Raw(b"null")


class _Silent(VenueUnreachable):
    """Nothing came back that the venue itself has said: another endpoint may do better."""


class SignedGet:
    """One account's questions to the venue. Use it as a context manager; calls may run at the same time.

    A call raises VenueRefused for a coded answer that asking again does not change, and VenueUnreachable for everything
    else that is not an answer: time-outs, 5xx, rate limits, and what cannot be understood.
    """

    def __init__(
        self, endpoints: Sequence[Endpoint], account: Account, clock: Callable[[], Now], way: Way | None = None
    ) -> None:
        self._endpoints = tuple(endpoints)
        self._named = {endpoint.name: endpoint for endpoint in endpoints}
        self._endpoint = self._endpoints[0]
        self._account = account
        self._clock = clock
        self._way = way or way_to_venue()
        self._pace = Pace(clock)
        self.clock_reading: ClockReading | None = None
        """What the last answer told of the venue's clock; None before the first, and when it did not say the time."""

    async def __aenter__(self) -> Self:
        self._http = http_session(self._way, timeout=ClientTimeout())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.close()

    def prefer(self, name: str) -> None:
        """Ask the endpoint of this name first from now on."""
        self._endpoint = self._named[name]

    @property
    def slowed_limits(self) -> list[str]:
        """Name the limits of which less is used than before the venue refused a request for its rate."""
        return self._pace.slowed_limits

    async def get(self, route: Route, params: Mapping[str, str] | None = None) -> bytes:
        """Ask, and return the bytes of the answer's `data`.

        Where an endpoint is silent, the next one is asked at once, and goes on being asked.
        """
        endpoint = self._endpoint
        try:
            return await self._ask(endpoint, route, params or {})
        except _Silent as error:
            second = self._leave(endpoint)
            if second is endpoint:
                raise
            _log.warning("rest.endpoint_silent", endpoint=endpoint.name, asking=second.name, detail=str(error))
        try:
            return await self._ask(second, route, params or {})
        except _Silent:
            self._leave(second)
            raise

    async def get_at(self, name: str, route: Route, timeout_s: float) -> bytes:
        """Ask the endpoint of this name and no other, and return the bytes of the answer's `data`."""
        within = ClientTimeout(total=timeout_s, connect=timeout_s)
        return await self._ask(self._named[name], route, {}, within)

    def _leave(self, endpoint: Endpoint) -> Endpoint:
        """Return the endpoint after this one, which is asked from now on unless another is already."""
        after = self._endpoints[(self._endpoints.index(endpoint) + 1) % len(self._endpoints)]
        if self._endpoint is endpoint:
            self._endpoint = after
        return after

    async def _ask(
        self, endpoint: Endpoint, route: Route, params: Mapping[str, str], within: ClientTimeout | None = None
    ) -> bytes:
        within = within or ClientTimeout(total=TOTAL_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
        async with self._pace.slot(route.family):
            key, secret = read_keys(self._account)
            nonce_s = self._clock().wall_ms // 1000
            signature = rest_signature(secret, params, nonce_s)
            secrets = (key, secret, signature)
            headers = {
                "X-MBX-APIKEY": key,
                "nonce": str(nonce_s),
                "signature": signature,
                "Content-Type": "application/json",
            }
            url = endpoint.rest_url + route.path
            asked_boot_s = self._clock().boot_s
            try:
                async with self._http.get(url, params=params, headers=headers, timeout=within) as response:
                    answered_boot_s = self._clock().boot_s
                    body = await _body(route.path, response)
            except TimeoutError:
                limits = f"no connection within {within.connect:g} s or no answer within {within.total:g} s"
                raise _Silent(f"GET {route.path}: {limits}") from None
            except VenueUnreachable as error:
                raise _Silent(str(error)) from None
            except Exception as error:  # noqa: BLE001 - whatever the library makes of what came back, it is no answer
                told = without_secrets(str(error), *secrets) or type(error).__name__
                raise _Silent(f"GET {route.path}: {told}") from None
        if response.status in _TOO_MANY_REQUESTS:
            self._pace.refused(route.family)
            raise VenueUnreachable(f"GET {route.path}: HTTP {response.status}")
        code, envelope = _coded(route.path, response.status, body)
        self.clock_reading = _clock_reading(response, asked_boot_s, answered_boot_s)
        if code in _TOO_MANY_REQUESTS:
            self._pace.refused(route.family)
        return _data(route.path, code, envelope, secrets)


async def _body(path: str, response: ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > ANSWER_BYTES_MAX:
            raise VenueUnreachable(f"GET {path}: an answer of more than {ANSWER_BYTES_MAX} bytes")
    return bytes(body)


def _clock_reading(response: ClientResponse, asked_boot_s: float, answered_boot_s: float) -> ClockReading | None:
    read_s = parse_http_date(response.headers.get("Date", ""))
    if read_s is None:
        return None
    return ClockReading(asked_boot_s, answered_boot_s, read_s * 1000, granularity_ms=_DATE_GRANULARITY_MS)


def _coded(path: str, status: int, body: bytes) -> tuple[int, _Envelope]:
    """Open the venue's envelope."""
    if status >= _SERVER_FAULT:
        raise _Silent(f"GET {path}: HTTP {status}")
    try:
        envelope = wire.read_json(body, _Envelope)
    except wire.NOT_UNDERSTOOD as error:
        raise _Silent(f"GET {path}: HTTP {status}, not the venue's JSON: {error}") from None
    code = wire.number(envelope.code)
    if code is None or (code in codes.SUCCESS and status not in _OK):
        raise _Silent(f"GET {path}: HTTP {status} without a code that means something")
    return code, envelope


def _data(path: str, code: int, envelope: _Envelope, secrets: Sequence[str]) -> bytes:
    """Take the data out of an answer, or raise what the answer means."""
    if code in codes.SUCCESS:
        return bytes(envelope.data)
    reason = without_secrets(wire.text(envelope.message, envelope.msg), *secrets)
    if codes.may_pass(code):
        raise VenueUnreachable(f"GET {path}: the venue answered {code}: {reason}")
    raise VenueRefused(code, reason, codes.advice(code))
