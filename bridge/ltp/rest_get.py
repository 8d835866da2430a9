"""Signed GET requests (LTP docs, Authentication) to one endpoint while it answers, within the rate limits."""

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import structlog
from aiohttp import ClientResponse, ClientTimeout
from msgspec import Raw, Struct

from bridge.config import AccountConfig, Endpoint
from bridge.core.in_flight.ack_codes import ACCEPTED_CODES, RATE_CODES
from bridge.core.now import Now
from bridge.core.skew import ClockReading
from bridge.errors import VenueRefused, VenueUnreachable
from bridge.ltp import codes, wire
from bridge.ltp.http_date import parse_http_date
from bridge.ltp.keys import read_keys
from bridge.ltp.network import NetworkSettings, load_network_settings, open_http_session
from bridge.ltp.rest_rate_limiter import LimitGroup, RestRateLimiter
from bridge.ltp.signing import mask_secrets, rest_signature

_log = structlog.get_logger()

TOTAL_TIMEOUT_S: Final = 10.0
CONNECT_TIMEOUT_S: Final = 5.0
ANSWER_BYTES_MAX: Final = 4 * 1024 * 1024
"""A page of 1,000 rows has a quarter of it."""
_DATE_GRANULARITY_MS: Final = 1000


class Route(NamedTuple):
    """A path of REST, and the limit group of its requests."""

    path: str
    limit_group: LimitGroup


class _AnswerBody(Struct):
    code: Any = None
    message: Any = None
    msg: Any = None
    data: Raw = Raw(b"null")


class EndpointUnavailable(VenueUnreachable):
    """The endpoint gave no answer of the venue's: another endpoint may give one."""


class SignedGet:
    """The signed GET requests of one account. Use it as a context manager; calls may run at the same time.

    A call raises VenueRefused for a coded refusal that a repetition does not change, and VenueUnreachable for every
    other failure: time-outs, 5xx, rate limits, and answers that are not understood.
    """

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        account: AccountConfig,
        clock: Callable[[], Now],
        network: NetworkSettings | None = None,
    ) -> None:
        self._endpoints = tuple(endpoints)
        self._named = {endpoint.name: endpoint for endpoint in endpoints}
        self._endpoint = self._endpoints[0]
        self._account = account
        self._clock = clock
        self._network = network or load_network_settings()
        self._rate_limiter = RestRateLimiter(clock)
        self.clock_reading: ClockReading | None = None
        """The reading of the venue's clock in the last answer; None before the first, and if that had no time."""

    async def __aenter__(self) -> Self:
        self._http = open_http_session(self._network, timeout=ClientTimeout())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.close()

    def prefer(self, name: str) -> None:
        """Send requests to the endpoint of this name from now on."""
        self._endpoint = self._named[name]

    @property
    def slowed_limits(self) -> list[str]:
        """The names of the limits of which the bridge uses less since the venue refused a request for its rate."""
        return self._rate_limiter.slowed_limits

    async def get(self, route: Route, params: Mapping[str, str] | None = None) -> bytes:
        """Send a request and return the bytes of the answer's `data`.

        If the endpoint is unavailable, the next one gets this request at once, and all later ones.
        """
        endpoint = self._endpoint
        try:
            return await self._send_request(endpoint, route, params or {})
        except EndpointUnavailable as error:
            second = self._switch_from(endpoint)
            if second is endpoint:
                raise
            _log.warning("rest.endpoint_silent", endpoint=endpoint.name, asking=second.name, detail=str(error))
        try:
            return await self._send_request(second, route, params or {})
        except EndpointUnavailable:
            self._switch_from(second)
            raise

    async def get_at(self, name: str, route: Route, timeout_s: float) -> bytes:
        """Send a request to the endpoint of this name only, and return the bytes of the answer's `data`."""
        time_limits = ClientTimeout(total=timeout_s, connect=timeout_s)
        return await self._send_request(self._named[name], route, {}, time_limits)

    def _switch_from(self, endpoint: Endpoint) -> Endpoint:
        """Return the endpoint after this one. It gets the requests from now on, unless they go elsewhere already."""
        after = self._endpoints[(self._endpoints.index(endpoint) + 1) % len(self._endpoints)]
        if self._endpoint is endpoint:
            self._endpoint = after
        return after

    async def _send_request(
        self, endpoint: Endpoint, route: Route, params: Mapping[str, str], time_limits: ClientTimeout | None = None
    ) -> bytes:
        time_limits = time_limits or ClientTimeout(total=TOTAL_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
        async with self._rate_limiter.slot(route.limit_group):
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
                async with self._http.get(url, params=params, headers=headers, timeout=time_limits) as response:
                    answered_boot_s = self._clock().boot_s
                    body = await _read_body(route.path, response)
            except TimeoutError:
                limits = f"no connection within {time_limits.connect:g} s or no answer within {time_limits.total:g} s"
                raise EndpointUnavailable(f"GET {route.path}: {limits}") from None
            except VenueUnreachable as error:
                raise EndpointUnavailable(str(error)) from None
            except Exception as error:  # noqa: BLE001 - every error of the library means that there is no answer
                detail = mask_secrets(str(error), *secrets) or type(error).__name__
                raise EndpointUnavailable(f"GET {route.path}: {detail}") from None
        if response.status == HTTPStatus.TOO_MANY_REQUESTS:
            self._rate_limiter.note_refusal(route.limit_group)
            raise VenueUnreachable(f"GET {route.path}: HTTP {response.status}")
        code, answer = _decode_answer(route.path, response.status, body)
        self.clock_reading = _read_clock(response, asked_boot_s, answered_boot_s)
        if code in RATE_CODES:
            self._rate_limiter.note_refusal(route.limit_group)
        return _unwrap_data(route.path, code, answer, secrets)


async def _read_body(path: str, response: ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > ANSWER_BYTES_MAX:
            raise VenueUnreachable(f"GET {path}: an answer of more than {ANSWER_BYTES_MAX} bytes")
    return bytes(body)


def _read_clock(response: ClientResponse, asked_boot_s: float, answered_boot_s: float) -> ClockReading | None:
    read_s = parse_http_date(response.headers.get("Date", ""))
    if read_s is None:
        return None
    return ClockReading(asked_boot_s, answered_boot_s, read_s * 1000, granularity_ms=_DATE_GRANULARITY_MS)


def _decode_answer(path: str, status: int, body: bytes) -> tuple[int, _AnswerBody]:
    """Return the code of an answer, and its fields. Raises EndpointUnavailable where there are none."""
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise EndpointUnavailable(f"GET {path}: HTTP {status}")
    try:
        answer = wire.read_json(body, _AnswerBody)
    except wire.NOT_UNDERSTOOD as error:
        raise EndpointUnavailable(f"GET {path}: HTTP {status}, not the venue's JSON: {error}") from None
    code = wire.parse_number(answer.code)
    if code is None or (code in ACCEPTED_CODES and not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES):
        raise EndpointUnavailable(f"GET {path}: HTTP {status} without a code that means something")
    return code, answer


def _unwrap_data(path: str, code: int, answer: _AnswerBody, secrets: Sequence[str]) -> bytes:
    """Return the data of an answer. Raises VenueRefused or VenueUnreachable for a refusal."""
    if code in ACCEPTED_CODES:
        return bytes(answer.data)
    reason = mask_secrets(wire.first_text(answer.message, answer.msg), *secrets)
    if codes.is_transient(code):
        raise VenueUnreachable(f"GET {path}: the venue answered {code}: {reason}")
    raise VenueRefused(code, reason, codes.find_advice(code))
