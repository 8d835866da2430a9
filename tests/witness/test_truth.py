"""What is untrue of an answer is found: each kind of lie, told of a command whose fate is known."""

import json
from typing import Any

import pytest

from tests.witness.ledger import Ledger
from tests.witness.record import Record
from tests.witness.truth import lies

ARGS = {"sym": "BINANCE_PERP_BTC_USDT", "orderQty": "1"}
PLACE = {"commandId": "c", "action": "place_order", "args": ARGS}
TAKEN, REFUSED = 200000, 401009


def line(number: int, kind: str, **facts: object) -> dict[str, Any]:
    """Return a line of the ledger."""
    return {"number": number, "wall_ms": number, "kind": kind, "connection": 1, "facts": facts}


def ledger(code: int | None, *, args: dict[str, str] = ARGS, times: int = 1, offset: int = 0) -> Ledger:
    """Return the ledger of a venue that got a place so often; without a code it decided nothing."""
    name = f"1x{offset:x}x1"
    got = line(1, "RECV", text=json.dumps({"id": name, "action": "place_order", "args": args}))
    decided = line(2, "VERDICT", request_id=name, action="place_order", code=code, client_order_id="c", order_id="1")
    return Ledger([*[got] * times, *([decided] if code is not None else [])])


def said(*outcomes: str, code: int | None = None, epochs: tuple[str, ...] = ()) -> list[Record]:
    """Return the results of the place."""
    found = []
    for at, outcome in enumerate(outcomes):
        headers = {"ce_epoch": epochs[at] if epochs else "1"}
        text = json.dumps({"commandId": "c", "commandOffset": 0, "outcome": outcome, "code": code})
        plain = {"offset": at, "timestamp": 0, "key": "c", "headers": headers, "text": text}
        found.append(Record.from_plain("results", plain))
    return found


def test_what_is_true_is_no_lie() -> None:
    """Taken, refused, never sent; a void result beside the true one."""
    assert lies(ledger(TAKEN), said("unknown", "accepted"), {0: PLACE}) == []
    assert lies(ledger(REFUSED), said("rejected", code=REFUSED), {0: PLACE}) == []
    assert lies(Ledger([]), said("expired"), {0: PLACE}) == []
    assert lies(ledger(None), said("not_found"), {0: PLACE}) == []
    assert lies(ledger(TAKEN), said("accepted", "rejected", epochs=("2", "1")), {0: PLACE}) == []


LIES: dict[str, tuple[Ledger, list[Record]]] = {
    "no answer": (ledger(TAKEN), []),
    "no last word": (ledger(TAKEN), said("unknown")),
    "two last words": (ledger(TAKEN), said("accepted", "accepted")),
    "unknown after the last word": (ledger(TAKEN), said("accepted", "unknown")),
    "the true word is void": (ledger(TAKEN), said("unknown", "accepted", epochs=("2", "1"))),
    "accepted, and refused": (ledger(REFUSED), said("accepted")),
    "accepted, and never sent": (Ledger([]), said("accepted")),
    "rejected, and taken": (ledger(TAKEN), said("rejected", code=REFUSED)),
    "rejected with another code": (ledger(REFUSED), said("rejected", code=401001)),
    "not found, and taken": (ledger(TAKEN), said("not_found")),
    "expired, and sent": (ledger(None), said("expired")),
    "sent twice": (ledger(TAKEN, times=2), said("accepted")),
    "sent with other values": (ledger(TAKEN, args={**ARGS, "orderQty": "2"}), said("accepted")),
    "sent for no command": (ledger(TAKEN, offset=7), said("expired")),
}


@pytest.mark.parametrize("name", LIES)
def test_a_lie_is_found(name: str) -> None:
    """One of each kind."""
    assert len(lies(*LIES[name], {0: PLACE})) == 1
