"""The signature of REST requests: what is signed, and what is refused."""

import json
from typing import TYPE_CHECKING

import pytest

from bridge.sandbox.venue.keys import sign_rest_request
from bridge.sandbox.venue.venue import Venue

if TYPE_CHECKING:
    from tests.support.trader import Exchange, Trader

ORDER = "/api/v1/trading/order"
ROW = {
    "clientOrderId": "r1",
    "sym": "BINANCE_PERP_BTC_USDT",
    "side": "BUY",
    "orderType": "LIMIT",
    "orderQty": "0.01",
    "limitPrice": "60000",
}
WRONG_HEADERS: list[tuple[dict[str, str], int]] = [
    ({"X-MBX-APIKEY": "ak-unknown"}, 100018),
    ({"X-MBX-APIKEY": ""}, 2002),
    ({"nonce": ""}, 7000),
    ({"nonce": "1712345678000"}, 7000),
    ({"nonce": "1712345678"}, 7000),
    ({"nonce": "soon"}, 7000),
    ({"signature": ""}, 2000),
    ({"signature": "00" * 32}, 2000),
]


@pytest.mark.parametrize(("headers", "code"), WRONG_HEADERS)
async def test_request_that_is_not_authenticated(trader: "Trader", headers: dict[str, str], code: int) -> None:
    """A wrong key, nonce or signature has its own code, and the data is empty."""
    reply = await trader.rest("GET", "/api/v1/trading/account", None, **headers)
    assert (200, code, {}) == (reply.status, reply.code, reply.data)


@pytest.mark.parametrize(("skew_s", "code"), [(-61, 7000), (-59, 200000), (59, 200000), (61, 7000)])
async def test_nonce_tolerance(venue: Venue, trader: "Trader", skew_s: int, code: int) -> None:
    """A nonce may differ from the venue's time by sixty seconds."""
    reply = await trader.rest("GET", "/api/v1/trading/account", nonce=str(venue.clock.wall_ms() // 1000 + skew_s))
    assert code == reply.code


async def test_wrong_ways_to_sign(venue: Venue, trader: "Trader") -> None:
    """The bare nonce, URL-encoded values and unsorted pairs are all refused with 2000."""
    secret, nonce = trader.key.api_secret, str(venue.clock.wall_ms() // 1000)
    encoded = sign_rest_request(secret, {"sym": "A%2FB"}, nonce)
    unsorted = sign_rest_request(secret, {"sym=B&exchange": "A"}, nonce)
    bare = sign_rest_request(secret, {}, nonce[1:])
    for parameters, signature in (({"sym": "A/B"}, encoded), ({"sym": "B", "exchange": "A"}, unsorted), ({}, bare)):
        reply = await trader.rest("GET", "/api/v1/trading/orders", parameters, signature=signature)
        assert reply.code == 2000


async def test_query_values_are_signed_raw(trader: "Trader") -> None:
    """A value is signed in its form before URL encoding."""
    assert (await trader.get("orders", sym="A/B c")).code == 200000


async def test_parameters_of_a_delete_are_in_the_body(exchange: "Exchange", trader: "Trader") -> None:
    """A DELETE with its parameters in the query has a wrong signature."""
    nonce = str(trader.venue.clock.wall_ms() // 1000)
    headers = {
        "X-MBX-APIKEY": trader.key.api_key,
        "nonce": nonce,
        "signature": sign_rest_request(trader.key.api_secret, {"clientOrderId": "c1"}, nonce),
    }
    url = f"{trader.venue.rest_url}{ORDER}"
    async with exchange.session.delete(url, params={"clientOrderId": "c1"}, headers=headers) as response:
        assert (await response.json())["code"] == 2000


@pytest.mark.parametrize(("body", "code"), [("{", 1000), ("[]", 1000), ('{"sym":null}', 1000), ('{"sym":["A"]}', 1000)])
async def test_bodies_that_cannot_be_signed(exchange: "Exchange", trader: "Trader", body: str, code: int) -> None:
    """A body that is not a flat object of plain values is a format error."""
    async with exchange.session.post(f"{trader.venue.rest_url}{ORDER}", data=body) as response:
        assert code == (await response.json())["code"]


async def test_plain_values_sign_as_their_text(exchange: "Exchange", trader: "Trader") -> None:
    """Numbers and booleans in a body are signed in their original text."""
    nonce = str(trader.venue.clock.wall_ms() // 1000)
    signed = {**ROW, "orderQty": "0.010", "reduceOnly": "false"}
    headers = {
        "X-MBX-APIKEY": trader.key.api_key,
        "nonce": nonce,
        "signature": sign_rest_request(trader.key.api_secret, signed, nonce),
    }
    body = json.dumps({**ROW, "reduceOnly": False}).replace('"0.01"', "0.010")
    async with exchange.session.post(f"{trader.venue.rest_url}{ORDER}", data=body, headers=headers) as response:
        assert (await response.json())["code"] == 200000
