"""Every code that the venue documents, and what it proves as the ack of a request."""

from collections.abc import Iterator

import pytest

from bridge.core.in_flight.ack_codes import KINDS, TABLE, AckClass, classify_code
from tests.support.one_account import BTC, OneAccount, place

TAKEN, REFUSED, IN_DOUBT = AckClass.ACCEPTED, AckClass.REFUSED, AckClass.INCONCLUSIVE

DOCUMENTED: dict[str, tuple[AckClass, str]] = {
    # What every interface says
    "200 200000": (TAKEN, "success of REST and of actions"),
    "0": (IN_DOUBT, "success of a login, and of nothing else"),
    "501 1000 1001 100400 400000 400001 400009": (REFUSED, "the form of the request"),
    "2000 2001 2002 2003": (REFUSED, "signature, address or rights of the key"),
    "4000": (REFUSED, "the session has no login any more"),
    "7000": (REFUSED, "the request's time"),
    "429 100429 601010": (REFUSED, "too many requests"),
    "40000 50001 400010 400011 400012 400013": (IN_DOUBT, "the venue's own trouble, a time-out among it"),
    "60009": (IN_DOUBT, "something failed"),
    "400 404 405 500 502 503 504": (IN_DOUBT, "statuses of HTTP, where a frame names them"),
    "100001-100003 100018 100041 405001": (REFUSED, "no such user or key, or one that is frozen"),
    "200009 400002-400007": (IN_DOUBT, "transfers, pages and periods: no answer to an action"),
    "400008": (IN_DOUBT, "request error, whatever that is"),
    # Orders
    "401000-401009": (REFUSED, "portfolio, names, side, type, time in force, quantity, price; a name that is taken"),
    "401010 401022": (REFUSED, "the key's portfolio or user"),
    "401011-401017": (REFUSED, "symbol, price, precision, lower bounds"),
    "401018 401019": (REFUSED, "no such order, or none that can be cancelled"),
    "401020 401021 401023 401024 401082": (REFUSED, "orderId, quote quantity, exchange"),
    "401025-401029": (REFUSED, "quantity or value outside the bounds, market orders' 401026 and 401027 too"),
    "401030": (REFUSED, "a symbol of another business"),
    "401031": (IN_DOUBT, "what the symbol's precision is, the venue does not know yet"),
    "401032": (REFUSED, "no position to reduce"),
    "401033 401034 401035 401037": (REFUSED, "leverage and assets"),
    "401036 401038 401043": (IN_DOUBT, "setting leverage or closing positions: no answer to an action"),
    "401039 401040 401050": (IN_DOUBT, "periods and kinds of statements"),
    "401041 401042 401052": (REFUSED, "PERP alone; no maker order at the market, or one that would take"),
    "401044 401054": (REFUSED, "too many open orders"),
    "401045 401046 401053 401061-401063 401118": (REFUSED, "the account is held, or the exchange's is"),
    "401047-401049 401059": (REFUSED, "reduce only: side, position, value, a better one"),
    "401051": (REFUSED, "letters and digits alone"),
    "401055": (REFUSED, "the available balance"),
    "401056 401057 401058": (REFUSED, "margin or frozen balance; of 401058 some say that the order is over"),
    "401060 401070 401104": (REFUSED, "notional above a bound"),
    "401064 401066 401067 401069": (REFUSED, "no account for it, or no such business"),
    "401068": (IN_DOUBT, "a reduce-only order that there was, and that was cancelled"),
    "401071 401075 401122": (REFUSED, "lot, tick, precision"),
    "401072-401074 401076-401081": (REFUSED, "what a replace may not do"),
    "401083 401084 401114": (REFUSED, "a replace below the least notional"),
    "401085-401087 401126": (REFUSED, "what may be borrowed"),
    "401088-401090 401094 401102 401103 401105-401110": (IN_DOUBT, "position mode, sub-portfolios, exports"),
    "401091 401096 401095 401092": (REFUSED, "position side, exchange, open interest"),
    "401093 401097 401119 401129": (REFUSED, "nothing to close, or a position that changed"),
    "401098 401100 401101": (REFUSED, "prices of take-profit and stop-loss"),
    "401111": (IN_DOUBT, "an order that there was, and that the exchange cancelled"),
    "401112 401113": (REFUSED, "leverage that was lowered; syncMode"),
    "401115": (IN_DOUBT, "an order that was not made, perhaps half-way"),
    "401116 401117": (REFUSED, "an order that is being cancelled, or is over"),
    "401120 401121": (REFUSED, "others are being cancelled for it"),
    "401128": (REFUSED, "outside the price band"),
    # Algo orders, and the take-profit and stop-loss of ordinary ones
    "401200-401213 401221-401231 401240-401242 401244 401245": (IN_DOUBT, "algo orders, closing of positions"),
    "401214-401220 401232-401238 401243 401246 401247": (REFUSED, "take-profit and stop-loss"),
    "401239": (REFUSED, "leverage above the system's"),
    # Other interfaces
    "402000-402008 403000-403016 404001-404006": (IN_DOUBT, "portfolios, transfers, currencies"),
    "406000-406009 406011-406023": (IN_DOUBT, "fees and loans"),
    "406010": (IN_DOUBT, "a broker's fee, or a name that is taken: two documents, two meanings"),
    "601001-601009 601011 601014-601018": (REFUSED, "a frame or a login of the wrong form"),
    "11100 11210 11220 11250 11260": (IN_DOUBT, "market data"),
}


def _codes(listed: str) -> Iterator[int]:
    for one in listed.split():
        first, _, last = one.partition("-")
        yield from range(int(first), int(last or first) + 1)


def _all() -> list[int]:
    return [code for listed in DOCUMENTED for code in _codes(listed)]


@pytest.mark.parametrize(("listed", "expected"), [(listed, entry[0]) for listed, entry in DOCUMENTED.items()])
def test_every_documented_code_has_its_class(listed: str, expected: AckClass) -> None:
    """Each code proves what the venue's documents say of it."""
    assert dict.fromkeys(_codes(listed), expected) == {code: classify_code(code) for code in _codes(listed)}


def test_no_other_code_is_definitive() -> None:
    """A code without a document proves nothing, and no code is documented twice."""
    assert len(_all()) == len(set(_all()))
    assert {code for code in KINDS if classify_code(code) is AckClass.REFUSED} - set(_all()) == set()
    assert {classify_code(code) for code in (-1, 1, 401065, 401099, 401123, 401248, 406024, 601012, 601019)} == {
        IN_DOUBT
    }


def test_a_code_stands_in_the_table_once() -> None:
    """If it were there twice, the later row would replace the earlier one unnoticed."""
    rows = [code for _, listed in TABLE for one in listed for code in ((one,) if isinstance(one, int) else one)]
    assert sorted(rows) == sorted(KINDS)


@pytest.mark.parametrize("code", list(_codes("401214-401220 401232-401238 401243 401246 401247")))
def test_a_wrong_take_profit_or_stop_loss_is_rejected_at_once(code: int) -> None:
    """The result has the venue's message, and no command stays unknown."""
    one = OneAccount()
    one.offer(place("p", sym=BTC, tpTriggerPrice="1"))
    one.send()
    one.answer(0, code, "TP price is wrong")
    (result,) = one.results()
    assert (result.outcome, result.code, result.message) == ("rejected", code, "TP price is wrong")
    assert one.account.unknown.list_queries() == []
