"""Vendor quirks of REST: types that differ from the pushes, pages, reach, and signatures."""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.config import AccountConfig, Endpoint
from bridge.core.now import Now
from bridge.errors import VenueUnreachable
from bridge.ltp import rest_rate_limiter
from bridge.ltp.rest import RestClient
from bridge.ltp.rest_rate_limiter import LimitGroup
from bridge.ltp.rows import read_order, read_position, read_risk, trade_as_pushed
from bridge.sandbox.venue.ledger import EntryKind
from bridge.sandbox.venue.settings import RequestLimit, VenueSettings
from bridge.sandbox.venue.venue import Venue
from tests.support.small_rest import Serve, answering, endpoint, ok, paged, read_all

ROW = '{"orderId":"%s","orderState":"OPEN"}'
DAY_MS = 24 * 3600 * 1000
REFUSALS_MAX = 2
"""From four slots to one."""


def at(venue: Venue, folder: Path, clock: Callable[[], Now]) -> RestClient:
    """Make a client of the sandbox's REST."""
    (folder / "key").write_text(venue.keys["main"].api_key)
    (folder / "secret").write_text(venue.keys["main"].api_secret)
    account = AccountConfig(api_key_file=folder / "key", api_secret_file=folder / "secret")
    return RestClient([Endpoint(name="T", ws_url=venue.ws_url, rest_url=venue.rest_url)], account, clock)


@pytest.mark.parametrize(
    ("fields", "pushed"),
    [
        pytest.param({"leverage": 5}, {"leverage": "5"}, id="12 leverage type: REST's number"),
        pytest.param({"leverage": "5"}, {"leverage": "5"}, id="12 leverage type: text in REST too"),
        pytest.param({"leverage": None}, {"leverage": None}, id="12 leverage type: null in REST"),
        pytest.param({"reduceOnly": True}, {"reduceOnly": True}, id="11 reduce only type: a boolean in REST"),
        pytest.param({"reduceOnly": "true"}, {"reduceOnly": "true"}, id="11 reduce only type: text in REST"),
        pytest.param(
            {"orderType": "DMA", "exchangeOrderType": "LIMIT"},
            {"orderType": "DMA", "exchangeOrderType": "LIMIT"},
            id="10 order type field: both in REST",
        ),
    ],
)
def test_an_orders_row_is_as_its_push(fields: dict[str, object], pushed: dict[str, object]) -> None:
    """Fields that decide nothing keep the venue's own text."""
    row = json.dumps({"orderId": "1", "orderState": "OPEN", **fields}).encode()
    shaped = json.loads(read_order(row).raw)
    assert {name: shaped[name] for name in fields} == pushed


_FEE = {"tradingFee": "-0.1", "tradingFeeCoin": "USDT"}
_REBATE = {"fee": "0.3", "feeCoin": "USDT", "rebate": "0.1", "rebateCoin": "USDT"}
_NO_REBATE = {"fee": "0.3", "feeCoin": "USDT", "rebate": "0", "rebateCoin": ""}


@pytest.mark.parametrize(
    ("fields", "shape"),
    [
        pytest.param(_FEE, _FEE, id="20 trade fee form: one number"),
        pytest.param(_FEE | _REBATE, _FEE, id="20 trade fee form: both"),
        pytest.param(_REBATE, _REBATE, id="20 trade fee form: fee and rebate"),
        pytest.param(
            _NO_REBATE, _NO_REBATE | {"tradingFee": "0.3", "tradingFeeCoin": "USDT"}, id="20 trade fee form: a fee"
        ),
    ],
)
def test_a_trades_fee_in_each_form(fields: dict[str, str], shape: dict[str, str]) -> None:
    """It is one signed number if the venue sends it; else fee and rebate stay as they are."""
    assert json.loads(trade_as_pushed(json.dumps(fields).encode())) == shape


@pytest.mark.parametrize(
    "field",
    [
        pytest.param({}, id="21 liquidation price: gone in REST"),
        pytest.param({"liqPrice": None}, id="21 liquidation price: null in REST"),
        pytest.param({"liqPrice": "913.0066"}, id="21 liquidation price: told in REST"),
    ],
)
def test_a_positions_row_may_lack_what_the_documents_disagree_on(field: dict[str, object]) -> None:
    """The field is as the venue sent it, or missing."""
    row = {"sym": "OKX_PERP_BTC_USDT", **field}
    assert json.loads(read_position(json.dumps(row).encode())) == row | {"exchangeType": "OKX"}


@pytest.mark.parametrize(
    ("pages", "page_num"),
    [
        pytest.param([[]], 0, id="19 page count: 0 of nothing"),
        pytest.param([[]], 1, id="19 page count: 1 of nothing"),
        pytest.param([["1", "2"], ["3"]], 2, id="19 page count: the number of all pages"),
        pytest.param([["1", "2"], ["3"]], "2", id="19 page count: as text"),
        pytest.param([["1", "2"], ["3"]], 9, id="19 page count: more than there are"),
    ],
)
async def test_every_page_is_read_and_no_more(
    serve: Serve, account: AccountConfig, clock: Callable[[], Now], pages: list[list[str]], page_num: object
) -> None:
    """`pageNum` is the number of pages, not the number of this page."""
    rows = [[ROW % one for one in page] for page in pages]
    async with RestClient([endpoint(await serve(paged(rows, page_num)))], account, clock) as rest:
        assert [row.order.order_id for row in await read_all(rest.fetch_open_orders())] == [
            one for page in pages for one in page
        ]


@pytest.mark.parametrize(
    ("days", "known"),
    [
        pytest.param(1, True, id="18 history by age: a day"),
        pytest.param(8, True, id="18 history by age: in the archive"),
        pytest.param(89, True, id="18 history by age: nearly out of it"),
        pytest.param(91, False, id="18 history by age: too old for the venue"),
    ],
)
async def test_both_lists_are_read_by_age(tmp_path: Path, clock: Callable[[], Now], days: int, *, known: bool) -> None:
    """A request for all times reads both the recent list and the archive."""
    async with Venue(VenueSettings()) as venue, at(venue, tmp_path, clock) as rest:
        then_ms = clock().wall_ms - days * DAY_MS
        venue.inject.past_order("main", then_ms, fills_at_ms=[then_ms])
        found = (await read_all(rest.fetch_ended_orders(None, 0)), await read_all(rest.fetch_executions(None, 0)))
    assert [len(rows) for rows in found] == [known, known]


@pytest.mark.parametrize("name", [pytest.param("a +b&c=%25/é", id="26 signing samples: values are signed as they are")])
async def test_what_is_signed_is_not_encoded(tmp_path: Path, clock: Callable[[], Now], name: str) -> None:
    """The query is encoded, so the two differ; the venue accepts the signature and has no such order."""
    async with Venue(VenueSettings()) as venue, at(venue, tmp_path, clock) as rest:
        assert await rest.fetch_order(client_order_id=name) is None


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        pytest.param('"uniMMR":"999999"', "999999", id="29 no-risk number: the official one"),
        pytest.param('"uniMMR":"99999999"', "99999999", id="29 no-risk number: the SDK's"),
        pytest.param('"uniMMR":999999', 999999, id="29 no-risk number: no text"),
        pytest.param('"accountStatus":" MARGIN_CALL"', " MARGIN_CALL", id="30 account status spelling: in REST"),
        pytest.param('"accountStatus":"NEW_WORD"', "NEW_WORD", id="30 account status spelling: unknown in REST"),
    ],
)
async def test_risk_is_passed_on_as_it_is(
    serve: Serve, account: AccountConfig, clock: Callable[[], Now], told: str, shown: object
) -> None:
    """The bridge decides nothing by it: readers and people get the venue's own text."""
    row = f'{{"exchangeType":"OKX",{told}}}'
    async with RestClient([endpoint(await serve(answering(lambda: ok(f"[{row}]"))))], account, clock) as rest:
        (risk,) = await rest.fetch_account_states()
    assert read_risk(row.encode()) == row.encode()
    assert shown in {risk.uni_mmr, risk.account_status}


@pytest.mark.parametrize("count", [pytest.param(1, id="24 rate limits: a stricter one of REST, learnt from refusals")])
async def test_a_stricter_limit_is_learnt(
    tmp_path: Path, clock: Callable[[], Now], monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """After a refusal both lists are read from the beginning again, and are complete after a few refusals."""
    monkeypatch.setitem(rest_rate_limiter.LIMITS, LimitGroup.EXECUTIONS, rest_rate_limiter.Limit(5, 0.5))
    async with Venue(VenueSettings()) as venue, at(venue, tmp_path, clock) as rest:
        venue.limits.set_limit("rest_executions", RequestLimit(count, 0.5))
        answers: list[object] = []
        while not answers and len(venue.ledger.entries(EntryKind.LIMITED)) <= REFUSALS_MAX:
            with contextlib.suppress(VenueUnreachable):
                answers.append(await read_all(rest.fetch_executions(None, 0)))
    assert answers == [()]
