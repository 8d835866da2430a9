"""A small history by hand, right in every point: two owners, every action, a repeat, a conflict and a dead letter."""

import json
from typing import Any

from tests.witness.record import Plain
from tests.witness.request import SUCCESS

SYM = "BINANCE_PERP_BTC_USDT"


class Story:
    """Tells a history as the topics and the ledger would; each call is one thing that happens, a second later."""

    def __init__(self) -> None:
        self.commands: list[Plain] = []
        self.results: list[Plain] = []
        self.dead_letters: list[Plain] = []
        self.session: list[Plain] = []
        self.orders: list[Plain] = []
        self.ledger: list[dict[str, Any]] = []
        self.committed = {"offset": 0, "metadata": "ltpb1:2:0:0:1:"}
        self._incarnations = [0]
        self._commands_before = 0
        self._now_s = 1_000.0
        self._sequence = 0

    def history(self) -> dict[str, Any]:
        """Return what the checker takes."""
        return {
            "commands": self.commands,
            "results": self.results,
            "dead-letters": self.dead_letters,
            "session": self.session,
            "orders": self.orders,
            "ledger": self.ledger,
            "committed": self.committed,
            "end": len(self.commands) - self._commands_before,
            "incarnations": self._incarnations,
        }

    @property
    def now_ms(self) -> int:
        """The time of the story."""
        return int(self._now_s * 1000)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self._now_s += seconds

    def owner(self, epoch: int) -> None:
        """Let an owner take over, log in and sweep."""
        self._record(self.results, epoch, json.dumps({"epoch": epoch, "instance": "i", "at": self.now_ms}))
        self.log_in(epoch)
        self._line("REST", method="GET", path="/api/v1/trading/orders")
        self._record(self.session, epoch, json.dumps({"type": "recovery.complete", "at": self.now_ms}))

    def log_in(self, epoch: int) -> None:
        """Log in on a connection that has the number of its owner."""
        self._line("LOGIN", connection=epoch, api_key="k", code=0)

    def make_commands_again(self, lowest_epoch: int) -> None:
        """Begin another topic of commands, which owners from `lowest_epoch` on read."""
        self._incarnations.append(lowest_epoch)
        self._commands_before = len(self.commands)

    def command(self, command_id: str, action: str, args: dict[str, str] | None = None, valid_s: float = 60) -> int:
        """Append a command; return its number, which is its offset on the first topic."""
        until = self.now_ms + int(valid_s * 1000)
        return self.raw({"commandId": command_id, "action": action, "validUntil": until, "args": args or {}})

    def raw(self, value: dict[str, Any] | None) -> int:
        """Append any record to `commands`; None stands for bytes that are no JSON."""
        self._record(self.commands, 0, json.dumps(value) if value is not None else "{")
        self.commands[-1]["offset"] -= self._commands_before
        self.commands[-1]["incarnation"] = len(self._incarnations) - 1
        self.committed["offset"] = len(self.commands) - self._commands_before
        return len(self.commands) - 1

    def request(
        self,
        epoch: int,
        number: int,
        code: int | None = SUCCESS,
        *,
        attempt: int = 1,
        args: dict[str, str] | None = None,
    ) -> None:
        """Let the request of a command arrive; with a code the venue decides it."""
        body, offset = json.loads(self.commands[number]["text"]), self.commands[number]["offset"]
        frame = {"id": f"{epoch:x}x{offset:x}x{attempt:x}", "action": body["action"], "args": args or body["args"]}
        self.frame(epoch, frame, code)

    def frame(self, epoch: int, frame: dict[str, Any], code: int | None = SUCCESS) -> None:
        """Let a frame arrive."""
        self._line("RECV", connection=epoch, text=json.dumps(frame))
        if code is None:
            return
        self._line("COUNT", action=frame["action"], api_key="k")
        name = frame["args"].get("clientOrderId", "")
        order_id = frame["args"].get("orderId") or f"id-{name}"
        self._line(
            "VERDICT",
            action=frame["action"],
            request_id=frame["id"],
            code=code,
            order_id=order_id,
            client_order_id=name,
        )

    def order(self, name: str, state: str, order_id: str | None = None) -> None:
        """Let the venue push an order, and the topic have it."""
        row = {"orderId": order_id or f"id-{name}", "clientOrderId": name, "orderState": state, "sym": SYM}
        self._line("EVENT")
        self.ledger[-1]["event"] = {"channel": "Orders", "key": name, "identity": state, "payload": json.dumps(row)}
        self._record(self.orders, 1, json.dumps(row))

    def result(self, epoch: int, number: int, outcome: str, code: int | None = None, reason: str | None = None) -> None:
        """Answer a command."""
        command_id = json.loads(self.commands[number]["text"])["commandId"]
        offset = self.commands[number]["offset"]
        value = {"commandId": command_id, "commandOffset": offset, "outcome": outcome, "answeredAt": self.now_ms}
        more = {"code": code, "reason": reason}
        value |= {name: said for name, said in more.items() if said is not None}
        self._record(self.results, epoch, json.dumps(value))

    def dead_letter(self, offset: int) -> None:
        """Put a command among the dead letters."""
        self._record(self.dead_letters, 1, None)
        self.dead_letters[-1]["headers"]["__connect.errors.offset"] = str(offset)

    def _record(self, topic: list[Plain], epoch: int, text: str | None) -> None:
        self.wait(1)
        self._sequence += 1
        headers = {"ce_epoch": str(epoch), "ce_sequence": str(self._sequence)}
        record = {"offset": len(topic), "timestamp": self.now_ms, "key": "", "headers": headers, "text": text}
        topic.append(record)

    def _line(self, kind: str, connection: int = 0, **facts: object) -> None:
        self.wait(1)
        number = len(self.ledger) + 1
        stamps = {"wall_ms": self.now_ms, "monotonic_s": self._now_s}
        self.ledger.append({"number": number, "kind": kind, "connection": connection, "facts": facts, **stamps})


def order_args(name: str) -> dict[str, str]:
    """Return the arguments of a place."""
    return {"sym": SYM, "side": "BUY", "orderQty": "1", "limitPrice": "100", "clientOrderId": name}


def quiet_day() -> Story:
    """Return a story in which all is well; offsets 0 to 8 are used."""
    story = Story()
    story.owner(1)
    place = story.command("place", "place_order", order_args("a"))
    story.request(1, place)
    story.order("a", "OPEN")
    story.result(1, place, "accepted", SUCCESS)
    replace = story.command("replace", "replace_order", {"clientOrderId": "a", "replacePrice": "101"})
    story.request(1, replace, args={"orderId": "id-a", "replacePrice": "101"})
    story.result(1, replace, "accepted", SUCCESS)
    cancel = story.command("cancel", "cancel_order", {"clientOrderId": "a"})
    story.request(1, cancel)
    story.order("a", "CANCELLED")
    story.result(1, cancel, "accepted", SUCCESS)
    refused = story.command("refused", "place_order", order_args("b"))
    story.request(1, refused, 401048)
    story.result(1, refused, "rejected", 401048)
    story.result(1, story.command("denied", "place_order", order_args("c")), "denied")
    story.result(1, story.command("place", "place_order", order_args("a")), "accepted", SUCCESS)
    story.dead_letter(story.command("place", "place_order", order_args("other")))
    story.dead_letter(story.raw(None))
    lost = story.command("lost", "cancel_orders", {"exchangeType": "ALL"})
    story.request(1, lost, None)
    story.owner(2)
    story.result(2, lost, "unknown")
    story.result(2, lost, "accepted")
    return story


PLACE, REPLACE, CANCEL, REFUSED, DENIED, REPEAT, CONFLICT, GARBAGE, LOST = range(9)
"""The offsets of a quiet day."""
