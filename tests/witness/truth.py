"""Whether what the bridge answered is true, by the venue's ledger: written against the contract, not the bridge.

A request on the wire names its command by the offset in its id (request.py); that it is that command's is checked by
its arguments.
"""

from collections.abc import Iterable
from typing import Any

from tests.witness.epochs import valid
from tests.witness.ledger import Ledger
from tests.witness.record import Record
from tests.witness.request import SUCCESS, Request

_UNSENT = frozenset({"denied", "expired", "superseded"})


def lies(ledger: Ledger, results: Iterable[Record], commands: dict[int, dict[str, Any]]) -> list[str]:
    """Return what is untrue of the answers to commands, by offset: nothing, if all is well."""
    received = ledger.of_offset
    said, shown, cancelled = _said(results), _prices(ledger), _cancelled(ledger)
    found = [f"offset {offset}: the venue got a request that is no command's" for offset in received.keys() - commands]
    for offset, one in commands.items():
        of_one = received.get(offset, [])
        words = said.get(one["commandId"], [])
        found += [f"offset {offset} {one['action']}: {lie}" for lie in _lies(one, of_one, words, shown, cancelled)]
    return found


def _said(results: Iterable[Record]) -> dict[str, list[dict[str, Any]]]:
    """Return what readers hold valid, by commandId."""
    said: dict[str, list[dict[str, Any]]] = {}
    for record in valid(results):
        if "commandId" in record.fields:
            said.setdefault(record.fields["commandId"], []).append(record.fields)
    return said


def _prices(ledger: Ledger) -> set[tuple[str, str]]:
    """Return every price that an order ever had, as orderId and price."""
    return {(push.row["orderId"], push.row["limitPrice"]) for push in ledger.of_topic("orders")}


def _cancelled(ledger: Ledger) -> set[str]:
    """Return the orders that were cancelled, by both their names."""
    rows = [push.row for push in ledger.of_topic("orders") if push.row["orderState"] == "CANCELLED"]
    return {row[name] for row in rows for name in ("orderId", "clientOrderId")}


def _lies(
    one: dict[str, Any],
    received: list[Request],
    said: list[dict[str, Any]],
    shown: set[tuple[str, str]],
    cancelled: set[str],
) -> list[str]:
    outcomes = [value["outcome"] for value in said]
    if outcomes.count("unknown") != len(outcomes) - 1 or outcomes[-1:] == ["unknown"]:
        return [f"the outcomes are {outcomes}, not one last word"]
    found = [f"received as {request.witness()}" for request in received if not _is_of(request, one)]
    if len(received) > 1 and one["action"] != "cancel_order":
        found.append(f"received {len(received)} times")
    last = said[-1]
    if not (_is_true(one["action"], last, received, shown) or _may_be_accepted(last, received, cancelled)):
        words = [{**request.witness(), "answers": request.answers} for request in received]
        found.append(f"said {last['outcome']} {last.get('code')}, the venue's word is {words}")
    return found


def _is_of(request: Request, one: dict[str, Any]) -> bool:
    """Tell whether a request asks for what the command asks, under whatever name it gives the order."""
    names = {"orderId", "clientOrderId", "exchangeType"}
    asked = {name: value for name, value in one["args"].items() if name not in names}
    got = {name: value for name, value in request.args.items() if name not in names}
    return request.action == one["action"] and asked == got


def _is_true(action: str, last: dict[str, Any], received: list[Request], shown: set[tuple[str, str]]) -> bool:
    outcome, code = last["outcome"], last.get("code")
    verdicts = [verdict for request in received for verdict in request.codes]
    answers = [answer for request in received for answer in request.answers]
    if outcome in _UNSENT:
        return not received
    if outcome == "rejected":
        # The word of a scripted answer is the venue's too, where it decided nothing else.
        is_its_word = code in verdicts or (code in answers and not verdicts)
        return is_its_word and (action == "cancel_order" or SUCCESS not in verdicts)
    if outcome == "not_found" and action == "replace_order":
        # One that was taken and came to nothing at the exchange has left no trace that could be found.
        return all((one.args["orderId"], one.args.get("replacePrice", "")) not in shown for one in received)
    if outcome == "not_found":
        return SUCCESS not in verdicts
    # Only a cancel_orders may be accepted without the venue's word: then it was finished by single cancels.
    return SUCCESS in verdicts or action == "cancel_orders"


def _may_be_accepted(last: dict[str, Any], received: list[Request], cancelled: set[str]) -> bool:
    """Tell whether a cancel was answered by its effect: its answer was lost, and the order has been cancelled.

    Where another cancel of that order did it, nobody but the venue can tell the two apart.
    """
    lost = any(len(request.answers) < len(request.codes) for request in received)
    names = {name for request in received for name in request.args.values()}
    is_cancel = all(request.action == "cancel_order" for request in received)
    is_by_effect = last["outcome"] == "accepted" and last.get("code") is None
    return is_by_effect and lost and is_cancel and bool(names & cancelled)
