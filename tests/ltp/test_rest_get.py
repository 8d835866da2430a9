"""Signed GET requests, against small HTTP servers."""

import asyncio
import json
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
from aiohttp import web

from bridge.config import AccountConfig
from bridge.core.in_flight.ack_codes import RATE_CODES
from bridge.core.now import Now
from bridge.errors import VenueRefused, VenueUnreachable
from bridge.ltp import rest_get
from bridge.ltp.rest_get import Route, SignedGet
from bridge.ltp.rest_rate_limiter import LimitGroup
from bridge.ltp.signing import rest_signature
from tests.support.small_rest import Serve, answering, endpoint, noting, ok

Client = Callable[..., SignedGet]
X = Route("/x", LimitGroup.ORDER)


@pytest.fixture
def client(account: AccountConfig, clock: Callable[[], Now]) -> Client:
    """Return a function that makes a client of endpoints A, B and so on, each a host and port."""

    def make(*hosts: str) -> SignedGet:
        return SignedGet([endpoint(host, name) for host, name in zip(hosts, "ABC", strict=False)], account, clock)

    return make


async def test_a_request_is_signed_as_documented(serve: Serve, client: Client) -> None:
    """Key, nonce in seconds and signature are headers; the raw values are signed, and arrive unchanged."""
    asked: list[web.Request] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(request)
        return ok("{}")

    params = {"sym": "A+B C&=é", "begin": "1"}
    async with client(await serve(answer)) as venue:
        assert await venue.get(X, params) == b"{}"
    (request,) = asked
    assert params == dict(request.query)
    assert request.headers["X-MBX-APIKEY"] == "ak-test"
    expected = rest_signature("sk-test-secret", params, int(request.headers["nonce"]))
    assert expected == request.headers["signature"]


@pytest.mark.parametrize("code", ["200", "200000", '"200"', '"200000"'])
async def test_both_success_codes_as_number_or_text(serve: Serve, client: Client, code: str) -> None:
    """The data is returned byte for byte."""
    async with client(await serve(answering(lambda: ok('[ {"a":1.0} ]', code)))) as venue:
        assert await venue.get(X) == b'[ {"a":1.0} ]'


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (2000, "key and secret belong together"),
        (2001, "IP allow-list"),
        (2003, "level or permissions"),
        (7000, "clock"),
        (405001, "unknown or disabled"),
        (401999, ""),
    ],
)
async def test_a_definitive_code_is_refused_with_advice(serve: Serve, client: Client, code: int, advice: str) -> None:
    """The error names the code, the venue's text and what to do, and neither key nor secret."""
    body = json.dumps({"code": str(code), "message": "no: ak-test sk-test-secret", "data": {}})
    async with client(await serve(answering(lambda: web.Response(status=400, text=body)))) as venue:
        with pytest.raises(VenueRefused) as caught:
            await venue.get(X)
    assert code == caught.value.code
    assert advice in str(caught.value)
    assert "no: *** ***" in str(caught.value)


NO_ANSWERS = [
    (500, '{"code":200000,"data":[]}'),
    (503, "busy"),
    (404, "<html>"),
    (200, ""),
    (200, '{"data":[]}'),
    (404, '{"code":200000,"data":[]}'),
    (302, ""),
    (200, "[" * 50_000),
]
TRANSIENT_REFUSALS = [
    (429, '{"code":100429,"message":"too many"}'),
    (429, "<html>"),
    (200, '{"code":100429,"message":"too many"}'),
    (200, '{"code":400013,"message":"timeout"}'),
]


def _response(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=text, headers={"Location": "/y"} if status == 302 else {})


@pytest.mark.parametrize(("status", "text"), NO_ANSWERS + TRANSIENT_REFUSALS)
async def test_what_is_no_answer_is_unreachable(serve: Serve, client: Client, status: int, text: str) -> None:
    """Server errors, rate limits, redirects and invalid answers may be repeated."""
    async with client(await serve(answering(lambda: _response(status, text)))) as venue:
        with pytest.raises(VenueUnreachable):
            await venue.get(X)


@pytest.mark.parametrize(("status", "code"), [(429, None), *((200, code) for code in sorted(RATE_CODES))])
async def test_every_rate_refusal_slows_its_limit(serve: Serve, client: Client, status: int, code: int | None) -> None:
    """The HTTP status counts, and every rate code of the venue's table."""
    async with client(await serve(answering(lambda: _response(status, json.dumps({"code": code}))))) as venue:
        with pytest.raises(VenueUnreachable):
            await venue.get(X)
        assert venue.slowed_limits == ["rest_order"]


async def test_silence_is_unreachable(serve: Serve, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that does not answer is given up in time."""
    monkeypatch.setattr(rest_get, "TOTAL_TIMEOUT_S", 0.2)
    done = asyncio.Event()

    async def answer(_: web.Request) -> web.StreamResponse:
        await done.wait()
        return ok("{}")

    async with client(await serve(answer)) as venue:
        with pytest.raises(VenueUnreachable, match=r"no answer within 0\.2 s"):
            await venue.get(X)
        done.set()


async def test_a_refused_connection_is_unreachable(unused_tcp_port: int, client: Client) -> None:
    """A refused connection is reported."""
    async with client(f"127.0.0.1:{unused_tcp_port}") as venue:
        with pytest.raises(VenueUnreachable, match="GET /x"):
            await venue.get(X)


async def test_an_endless_answer_is_cut(serve: Serve, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer above the limit does not fill the memory."""
    monkeypatch.setattr(rest_get, "ANSWER_BYTES_MAX", 1000)
    async with client(await serve(answering(lambda: ok(f'"{"x" * 2000}"')))) as venue:
        with pytest.raises(VenueUnreachable, match="more than 1000 bytes"):
            await venue.get(X)


async def test_a_compressed_answer_is_cut(serve: Serve, client: Client) -> None:
    """A few kilobytes may decompress to gigabytes: decompression stops at the limit, and nothing else waits for it."""
    pack = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    bomb = b"".join(pack.compress(bytes(1 << 20)) for _ in range(256)) + pack.flush()

    def answer() -> web.Response:
        return web.Response(body=bomb, headers={"Content-Encoding": "gzip"})

    async with client(await serve(answering(answer))) as venue:
        tracemalloc.start()
        try:
            with pytest.raises(VenueUnreachable, match=f"more than {rest_get.ANSWER_BYTES_MAX} bytes"):
                await venue.get(X)
            assert tracemalloc.get_traced_memory()[1] < 6 * rest_get.ANSWER_BYTES_MAX
        finally:
            tracemalloc.stop()


async def test_an_unreadable_key_file_is_reported(serve: Serve, client: Client, account: AccountConfig) -> None:
    """A secret that is being replaced is a transient failure, and not of the endpoint."""
    account.api_secret_file.unlink()
    asked: list[dict[str, str]] = []
    host = await serve(noting(asked, answering(lambda: ok("{}"))))
    async with client(host, host) as venue:
        with pytest.raises(VenueUnreachable, match="api_secret_file: the file that it names does not exist"):
            await venue.get(X)
    assert asked == []


@pytest.mark.parametrize(("status", "text"), NO_ANSWERS)
async def test_the_next_endpoint_is_used_when_one_is_unavailable(
    serve: Serve, client: Client, status: int, text: str
) -> None:
    """It gets the same request at once, and every later one."""
    asked: list[dict[str, str]] = []
    silent = await serve(noting(asked, answering(lambda: _response(status, text))))
    async with client(silent, await serve(answering(lambda: ok("1")))) as venue:
        assert [await venue.get(X), await venue.get(X)] == [b"1", b"1"]
    assert len(asked) == 1


@pytest.mark.parametrize(("status", "text"), [*TRANSIENT_REFUSALS, (400, '{"code":2000,"message":"no"}')])
async def test_a_coded_answer_does_not_change_the_endpoint(
    serve: Serve, client: Client, status: int, text: str
) -> None:
    """A coded answer is the venue's: no other endpoint is tried."""
    asked: list[dict[str, str]] = []
    other = await serve(noting(asked, answering(lambda: ok("1"))))
    async with client(await serve(answering(lambda: _response(status, text))), other) as venue:
        with pytest.raises((VenueUnreachable, VenueRefused)):
            await venue.get(X)
    assert asked == []


async def test_requests_that_fail_together_change_the_endpoint_once(
    serve: Serve, client: Client, unused_tcp_port: int
) -> None:
    """None of them returns the others to the unavailable endpoint."""
    asked: list[dict[str, str]] = []
    answer = await serve(noting(asked, answering(lambda: ok("1"))))
    async with client(f"127.0.0.1:{unused_tcp_port}", answer) as venue:
        await asyncio.gather(*(venue.get(X) for _ in range(5)))
        await venue.get(X)
    assert len(asked) == 6


async def test_when_all_are_unavailable_the_first_is_tried_again(
    serve: Serve, client: Client, unused_tcp_port: int
) -> None:
    """A request is sent twice at most."""
    answers = iter([_response(503, ""), ok("1")])
    asked: list[dict[str, str]] = []
    first = await serve(noting(asked, answering(lambda: next(answers))))
    async with client(first, f"127.0.0.1:{unused_tcp_port}") as venue:
        with pytest.raises(VenueUnreachable):
            await venue.get(X)
        assert await venue.get(X) == b"1"
    assert len(asked) == 2


async def test_reading_begins_at_the_preferred_endpoint(serve: Serve, client: Client) -> None:
    """It is the endpoint that `prefer` names."""
    a, b = await serve(answering(lambda: ok('"A"'))), await serve(answering(lambda: ok('"B"')))
    async with client(a, b) as venue:
        assert await venue.get(X) == b'"A"'
        venue.prefer("B")
        assert await venue.get(X) == b'"B"'


@pytest.mark.parametrize("code", ["200000", "7000"])
async def test_every_answer_gives_the_venues_time(
    serve: Serve, client: Client, code: str, clock: Callable[[], Now]
) -> None:
    """A refusal because of our clock gives a reading too."""

    def answer() -> web.Response:
        response = ok("1", code)
        response.headers["Date"] = "Tue, 01 Jul 2025 00:00:00 GMT"
        return response

    async with client(await serve(answering(answer))) as venue:
        await asyncio.wait([asyncio.ensure_future(venue.get(X))])
    assert venue.clock_reading is not None
    skew = venue.clock_reading.skew(clock())
    assert skew.exceeds(3600)
    assert skew.high_ms - skew.low_ms >= 1000


async def test_clocks_that_agree_are_found_to_agree(serve: Serve, client: Client, clock: Callable[[], Now]) -> None:
    """Zero lies within the measured bounds."""
    async with client(await serve(answering(lambda: ok("1")))) as venue:
        await venue.get(X)
    assert venue.clock_reading is not None
    skew = venue.clock_reading.skew(clock())
    assert skew.low_ms <= 0 <= skew.high_ms


@pytest.mark.parametrize(
    "date",
    [
        "yesterday",
        "",
        "Tue, 01 Jul 2025 00:00:00 -0000",
        "Sun, 06 Nov 1994 08:49:37 -99999999999999",
        "Sun, 31 Feb 2025 00:00:00 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
    ],
)
async def test_an_invalid_time_gives_no_reading(serve: Serve, client: Client, date: str) -> None:
    """An invalid time gives no reading and does not spoil the answer."""

    def answer() -> web.Response:
        response = ok("1")
        response.headers["Date"] = date
        return response

    async with client(await serve(answering(answer))) as venue:
        assert await venue.get(X) == b"1"
    assert venue.clock_reading is None
