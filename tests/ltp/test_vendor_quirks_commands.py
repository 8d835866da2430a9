"""Vendor quirks of commands: answers of every shape, ids, scopes, types and limits, on a clock that a test moves."""

from typing import Any

import pytest

from bridge.contract.commands import CANCEL, CANCEL_ALL, PLACE, REPLACE
from bridge.contract.results import Result
from bridge.ltp.wire import decode_frame
from tests.support.one_account import BTC, OneAccount, cancel_all, place

NO_RIGHT_NAME = "lower-case letters and digits"


def sent(one: OneAccount, body: dict[str, Any]) -> int:
    """Offer a command a second later, and write it."""
    one.wait(1)
    offset = one.offer(body)
    one.send()
    return offset


def result(one: OneAccount, offset: int) -> Result | None:
    """Return the last result of a command."""
    said = [result for result in one.results() if result.command_offset == offset]
    return said[-1] if said else None


@pytest.mark.parametrize(
    ("text", "outcome", "code"),
    [
        pytest.param(
            '{"id":"$id","event":"place_order","code":401055,"msg":"Insufficient balance"}',
            *("rejected", 401055),
            id="06 action failure shape: under the action's name",
        ),
        pytest.param(
            '{"id":"$id","event":"error","code":"401055","msg":"Insufficient balance"}',
            *("rejected", 401055),
            id="06 action failure shape: as an error",
        ),
        pytest.param(
            '{"id":"$id","event":"error","code":"60009","msg":"Place order failed."}',
            *("unknown", 60009),
            id="06 action failure shape: the general code proves nothing",
        ),
        pytest.param(
            '{"id":"$id","event":"place_order","code":200000,"msg":"Success"}',
            *("accepted", 200000),
            id="07 ack success code: the official one",
        ),
        pytest.param(
            '{"id":"$id","event":"place_order","code":"200000","message":"Success"}',
            *("accepted", 200000),
            id="07 ack success code: as text",
        ),
        pytest.param(
            '{"id":"$id","event":"place_order","code":200,"msg":""}',
            *("accepted", 200),
            id="07 ack success code: REST's",
        ),
        pytest.param(
            '{"id":"$id","event":"place_order","code":0,"msg":""}',
            *("unknown", 0),
            id="07 ack success code: a login's is none of an action",
        ),
        pytest.param(
            '{"id":"$id","event":"place_order","code":401009,"msg":"exists"}',
            *("rejected", 401009),
            id="14 clientOrderId rules: a name in use, of a place that is written once",
        ),
        pytest.param(
            '{"id":"$id","event":"place_order","code":406010,"msg":"exists"}',
            *("unknown", 406010),
            id="14 clientOrderId rules: a code with two meanings is asked about",
        ),
        pytest.param(
            '{"id":null,"event":"place_order","code":401055,"msg":""}',
            None,
            None,
            id="31 request id: null in the answer",
        ),
        pytest.param(
            '{"event":"error","code":"401055","msg":""}', None, None, id="31 request id: missing in the answer"
        ),
    ],
)
def test_what_an_answer_says(text: str, outcome: str | None, code: int | None) -> None:
    """An answer without our request id proves nothing about a request."""
    one = OneAccount()
    offset = sent(one, place("p"))
    answer = decode_frame(text.replace("$id", one.written[-1].request_id).encode())
    one.account.on_frame(answer, one.now)  # type: ignore[arg-type] # an answer
    said = result(one, offset)
    assert (said and said.outcome.value, said and said.code) == (outcome, code)
    assert (one.account.unknown.list_queries() != []) == (outcome == "unknown")


@pytest.mark.parametrize(
    "text", [pytest.param('{"id":null,"event":"error","code":"60009"}', id="31 request id: nobody's")]
)
def test_an_answer_without_our_id_leaves_the_command_unknown(text: str) -> None:
    """The command becomes unknown after its time limit, and is not written again."""
    one = OneAccount()
    offset = sent(one, place("p"))
    assert not one.account.on_frame(decode_frame(text.encode()), one.now)  # type: ignore[arg-type] # an answer
    one.renew(one.timing.ack_timeout_s)
    said = result(one, offset)
    assert said is not None
    assert said.outcome.value == "unknown"
    assert [question.offset for question in one.ask()] == [offset]
    assert len(one.written) == 1


@pytest.mark.parametrize("count", [pytest.param(3, id="31 request id: always said, and one for each")])
def test_request_ids_are_distinct_texts(count: int) -> None:
    """Request ids are texts of at most 32 letters and digits, and never a number alone."""
    one = OneAccount(epoch=1_795_000_000)
    for number in range(count):
        sent(one, place(f"p{number}"))
    names = [written.request_id for written in one.written]
    assert len(set(names)) == count
    assert all(name.isalnum() and len(name) <= 32 and not name.isdigit() for name in names)


@pytest.mark.parametrize(
    ("name", "goes"),
    [
        pytest.param("0123456789abcdefghijklmnopqrstuv", True, id="14 clientOrderId rules: 32 letters and digits"),
        pytest.param("0123456789abcdefghijklmnopqrstuvw", False, id="14 clientOrderId rules: 33"),
        pytest.param("With-Dash", False, id="14 clientOrderId rules: what only some documents allow"),
        pytest.param("", False, id="14 clientOrderId rules: none at all"),
    ],
)
def test_the_clientorderid_is_what_every_document_allows(name: str, *, goes: bool) -> None:
    """Any other id is denied before the venue could refuse it."""
    one = OneAccount()
    offset = sent(one, place("p", clientOrderId=name))
    assert [written.args["clientOrderId"] for written in one.written] == [name] * goes
    said = result(one, offset)
    assert (said is None) == goes
    assert said is None or NO_RIGHT_NAME in (said.message or "")


@pytest.mark.parametrize(
    ("command_id", "name"),
    [
        pytest.param(
            "0B4C1E9A-77AA-4D0E-9F5E-0123456789AB",
            "0b4c1e9a77aa4d0e9f5e0123456789ab",
            id="14 clientOrderId rules: made of the commandId",
        ),
    ],
)
def test_an_order_always_has_a_client_order_id(command_id: str, name: str) -> None:
    """So it can be found whatever happens to the answer."""
    one = OneAccount()
    sent(one, place(command_id))
    assert one.written[-1].args["clientOrderId"] == name


@pytest.mark.parametrize(
    ("args", "written"),
    [
        pytest.param(
            {"exchangeType": "BINANCE"}, [{"exchangeType": "BINANCE"}], id="17 cancel_orders scope: an exchange"
        ),
        pytest.param({"exchangeType": "ALL"}, [{}], id="17 cancel_orders scope: all of them, said"),
        pytest.param({}, [], id="17 cancel_orders scope: not said"),
        pytest.param(
            {"exchangeType": "OKX", "sym": BTC}, [], id="17 cancel_orders scope: a symbol, perhaps passed over"
        ),
    ],
)
def test_the_scope_of_a_cancel_orders_must_be_explicit(args: dict[str, str], written: list[dict[str, str]]) -> None:
    """The scope has to be explicit and understood by the venue in one way only; else it is denied."""
    one = OneAccount()
    offset = sent(one, cancel_all("x") | {"args": args})
    assert [request.args for request in one.written] == written
    assert [said.outcome.value for said in one.results()] == ["denied"] * (not written)
    assert offset == 0


@pytest.mark.parametrize(
    ("value", "outcome"),
    [
        pytest.param("true", None, id="11 reduce only type: text in a command"),
        pytest.param(True, "denied", id="11 reduce only type: no boolean in a command"),
    ],
)
def test_reduce_only_is_sent_as_text(value: object, outcome: str | None) -> None:
    """The venue accepts text."""
    one = OneAccount()
    offset = sent(one, place("p") | {"args": place("p")["args"] | {"reduceOnly": value}})
    assert [written.args["reduceOnly"] for written in one.written] == ["true"] * (outcome is None)
    said = result(one, offset)
    assert (said and said.outcome.value) == outcome


@pytest.mark.parametrize(
    ("count", "window_s", "percent"),
    [
        pytest.param(1, 5, 95, id="24 rate limits: a contest's one in 5 s"),
        pytest.param(20, 60, 100, id="24 rate limits: some other"),
    ],
)
def test_limits_are_settings(count: int, window_s: float, percent: int) -> None:
    """As many requests as the limit are written at once, and the next a full window after the first ack."""
    limits = dict.fromkeys((PLACE, REPLACE, CANCEL, CANCEL_ALL), count)
    one = OneAccount(limits=limits, window_s=window_s, budget_percent=percent)
    until_ms = one.now.wall_ms + 200_000
    offsets = [one.offer(place(f"p{number}") | {"validUntil": until_ms}) for number in range(count + 1)]
    one.send()
    for offset in offsets[:-1]:
        one.answer(offset)
    one.renew(window_s)
    assert [written.offset for written in one.written] == offsets[:-1]
    one.renew(1)
    assert [written.offset for written in one.written] == offsets
