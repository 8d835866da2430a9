"""The venue's ledger is read as it was written."""

import json
from typing import Any

from tests.witness.ledger import Ledger, Push, Session


def line(number: int, kind: str, connection: int = 1, **facts: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Return a line of the ledger, a second after the one before."""
    return {"number": number, "wall_ms": number * 1000, "kind": kind, "connection": connection, "facts": facts}


def pushed(number: int) -> dict[str, Any]:
    """Return the line of a push."""
    event = {"channel": "Orders", "key": "1", "identity": "1:0", "payload": json.dumps({"orderId": "1"})}
    return {**line(number, "EVENT", 0), "event": event}


def frame(request_id: object, action: str = "place_order") -> str:
    """Return a request on the wire."""
    return json.dumps({"id": request_id, "action": action, "args": {"orderQty": "1"}})


def test_a_request_and_what_became_of_it() -> None:
    """Its id names epoch, command and attempt; verdicts and answers belong to it by its id."""
    ledger = Ledger(
        [
            line(1, "RECV", text=frame("1fx0ax2")),
            line(2, "VERDICT", action="place_order", request_id="1fx0ax2", code=401009),
            line(3, "ANSWER", text='{"id":"1fx0ax2","code":"401009"}'),
            line(4, "ANSWER", text='{"id":["1fx0ax2"],"code":1}'),
            line(5, "VERDICT", action="cancel_orders", request_id=None, code=200000),
        ]
    )
    (request,) = ledger.requests
    assert (request.epoch, request.offset, request.attempt, request.is_own) == (31, 10, 2, False)
    assert (request.codes, request.answers, ledger.codes(10)) == ([401009], [401009], [401009])
    assert ledger.of_offset == {10: [request]}


def test_what_counts_as_a_request() -> None:
    """What changes orders, under whatever id, and whatever names a command; nothing else."""
    frames = [frame("1y2", "cancel_order"), frame(None), frame("1x2x3", "query"), frame("q", "query"), "[]", "{"]
    ledger = Ledger([line(at, "RECV", text=text) for at, text in enumerate(frames, 1)])
    assert [(one.epoch, one.offset, one.is_own) for one in ledger.requests] == [
        (1, -1, True),
        (-1, -1, False),
        (1, 2, False),
    ]
    assert set(ledger.of_offset) == {-1, 2}


def late(*after: dict[str, Any]) -> tuple[Push, Session]:
    """Return a push that a fault held back on a session, and the session, with what came after."""
    login, fault = line(1, "LOGIN", code=0), line(3, "FAULT", fault="delay_push", channel="Orders")
    ledger = Ledger([login, pushed(2), fault, *after])
    return ledger.pushes[0], ledger.sessions[0]


def test_a_push_that_a_fault_held_back_was_on_its_way_until_its_socket_ended() -> None:
    """Unless it was delivered before."""
    push, session = late(line(9, "DROP"))
    assert (push.at_ms, push.until_ms, session.drop_ms) == (2000, 9000, 9000)
    push, _ = late(line(4, "DELIVER", event_number=2), line(9, "DROP"))
    assert push.until_ms == 2000


def test_a_fault_behind_another_turn_is_not_of_the_push() -> None:
    """It stands right behind what it bit, and names its channel."""
    fault = line(4, "FAULT", fault="mute_push", channel="Orders")
    assert Ledger([pushed(2), fault]).pushes[0].is_muted
    assert not Ledger([pushed(2), line(3, "PING"), fault]).pushes[0].is_muted
    assert not Ledger([pushed(2), {**fault, "facts": {**fault["facts"], "channel": "Trades"}}]).pushes[0].is_muted
