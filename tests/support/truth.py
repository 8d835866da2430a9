"""Whether what the bridge answered is true, by the venue's ledger: written against the contract, not the bridge.

A request on the wire names its command by the offset in its id (`epoch x offset x attempt`, hex); that it is that
command's is checked by its arguments. Cancels that the bridge sends of its own accord have ids of another form.
"""

import json
import re
from typing import Any, NamedTuple

from bridge.sandbox.venue.ledger import Entry, Kind
from tests.support.rig import Rig, Topic

_SUCCESS = 200000
_OF_A_COMMAND = re.compile(r"[0-9a-f]+x([0-9a-f]+)x[0-9a-f]+")
_UNSENT = frozenset({"denied", "expired", "superseded"})


class Request(NamedTuple):
    """One frame that reached the venue, what the venue decided of it, and what codes it answered."""

    action: str
    args: dict[str, str]
    verdicts: list[int]
    answers: list[int]


def requests(rig: Rig, account: str = "main") -> dict[int, list[Request]]:
    """Return what the venue received, by the offset of the command."""
    ledger, portfolio = rig.venue.ledger, rig.venue.keys[account].portfolio_id
    verdicts = _codes(ledger.entries(Kind.VERDICT, portfolio_id=portfolio))
    answers = _codes(ledger.entries(Kind.ANSWER, portfolio_id=portfolio))
    found: dict[int, list[Request]] = {}
    for entry in ledger.entries(Kind.RECV, portfolio_id=portfolio):
        frame = json.loads(entry.facts["text"])
        name = frame.get("id") or ""
        parts = _OF_A_COMMAND.fullmatch(name)
        if parts is not None:
            one = Request(frame["action"], frame["args"], verdicts.get(name, []), answers.get(name, []))
            found.setdefault(int(parts[1], 16), []).append(one)
    return found


def _codes(entries: list[Entry]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for entry in entries:
        facts: dict[str, Any] = entry.facts
        if "text" in facts:
            facts = _fields(facts["text"])
        name, code = facts.get("request_id", facts.get("id")), str(facts.get("code"))
        if isinstance(name, str) and code.isdigit():
            found.setdefault(name, []).append(int(code))
    return found


def _fields(text: str) -> dict[str, Any]:
    try:
        frame = json.loads(text)
    except ValueError:
        return {}
    return frame if isinstance(frame, dict) else {}


def lies(rig: Rig, results: Topic, commands: dict[int, dict[str, Any]]) -> list[str]:
    """Return what is untrue of the answers to commands, by offset: nothing, if all is well."""
    received = requests(rig)
    said, shown, cancelled = _said(results), _prices(rig), _cancelled(rig)
    found = [f"offset {offset}: the venue got a request that is no command's" for offset in received.keys() - commands]
    for offset, one in commands.items():
        of_one = received.get(offset, [])
        words = said.get(one["commandId"], [])
        found += [f"offset {offset} {one['action']}: {lie}" for lie in _lies(one, of_one, words, shown, cancelled)]
    return found


def _said(results: Topic) -> dict[str, list[dict[str, Any]]]:
    """Return what readers hold valid: a result of a lower epoch than one before it is void."""
    said: dict[str, list[dict[str, Any]]] = {}
    top = 0
    for record in results.records:
        epoch = int(dict(record.headers)["ce_epoch"])
        value = json.loads(record.value or b"{}")
        if epoch >= top and "commandId" in value:
            said.setdefault(value["commandId"], []).append(value)
        top = max(top, epoch)
    return said


def _prices(rig: Rig) -> set[tuple[str, str]]:
    """Return every price that an order ever had, as orderId and price."""
    events = (entry.event for entry in rig.venue.ledger.entries(Kind.EVENT))
    rows = (json.loads(event.payload) for event in events if event is not None and event.channel == "Orders")
    return {(row["orderId"], row["limitPrice"]) for row in rows}


def _cancelled(rig: Rig) -> set[str]:
    """Return the orders that were cancelled, by both their names."""
    events = (entry.event for entry in rig.venue.ledger.entries(Kind.EVENT))
    rows = (json.loads(event.payload) for event in events if event is not None and event.channel == "Orders")
    return {row[name] for row in rows if row["orderState"] == "CANCELLED" for name in ("orderId", "clientOrderId")}


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
    found = [f"received as {request}" for request in received if not _is_of(request, one)]
    if len(received) > 1 and one["action"] != "cancel_order":
        found.append(f"received {len(received)} times")
    last = said[-1]
    if not (_is_true(one["action"], last, received, shown) or _may_be_accepted(last, received, cancelled)):
        found.append(f"said {last['outcome']} {last.get('code')}, the venue's word is {received}")
    return found


def _is_of(request: Request, one: dict[str, Any]) -> bool:
    """Tell whether a request asks for what the command asks, under whatever name it gives the order."""
    names = {"orderId", "clientOrderId", "exchangeType"}
    asked = {name: value for name, value in one["args"].items() if name not in names}
    got = {name: value for name, value in request.args.items() if name not in names}
    return request.action == one["action"] and asked == got


def _is_true(action: str, last: dict[str, Any], received: list[Request], shown: set[tuple[str, str]]) -> bool:
    outcome, code = last["outcome"], last.get("code")
    verdicts = [verdict for request in received for verdict in request.verdicts]
    answers = [answer for request in received for answer in request.answers]
    if outcome in _UNSENT:
        return not received
    if outcome == "rejected":
        # The word of a scripted answer is the venue's too, where it decided nothing else.
        is_its_word = code in verdicts or (code in answers and not verdicts)
        return is_its_word and (action == "cancel_order" or _SUCCESS not in verdicts)
    if outcome == "not_found" and action == "replace_order":
        # One that was taken and came to nothing at the exchange has left no trace that could be found.
        return all((one.args["orderId"], one.args.get("replacePrice", "")) not in shown for one in received)
    if outcome == "not_found":
        return _SUCCESS not in verdicts
    # Only a cancel_orders may be accepted without the venue's word: then it was finished by single cancels.
    return _SUCCESS in verdicts or action == "cancel_orders"


def _may_be_accepted(last: dict[str, Any], received: list[Request], cancelled: set[str]) -> bool:
    """Tell whether a cancel was answered by its effect: its answer was lost, and the order has been cancelled.

    Where another cancel of that order did it, nobody but the venue can tell the two apart.
    """
    lost = any(len(request.answers) < len(request.verdicts) for request in received)
    names = {name for request in received for name in request.args.values()}
    is_cancel = all(request.action == "cancel_order" for request in received)
    is_by_effect = last["outcome"] == "accepted" and last.get("code") is None
    return is_by_effect and lost and is_cancel and bool(names & cancelled)
