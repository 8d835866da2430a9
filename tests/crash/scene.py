"""The commands of one scenario: the one over which a daemon dies, and what goes on around it."""

import random
import time
from typing import Any

from tests.crash.plan import Scenario

Command = dict[str, Any]

_SYM = "BINANCE_PERP_BTC_USDT"
_LATE_S = 2.5
"""How late the venue acts: sooner than every `late_landing_s`, and after a takeover has begun."""
_VALID_S = 90.0
"""Long enough for every takeover that comes between."""


class Scene:
    """What is sent for one scenario, in three parts: `setting` before, `scene` with the target in it, `aftermath`."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self._scenario = scenario
        self._dice = random.Random(f"{seed}/{scenario.number}")  # noqa: S311 - to be had again, no secret
        self._price = f"{21000 + scenario.number * 0.2:.1f}"
        """Of this scenario's replace and of no other."""
        self.setting = [self._place("first"), self._place("second")]
        """The orders that are there before; their results are waited for."""

    @property
    def faults(self) -> list[dict[str, Any]]:
        """What the venue does otherwise than simply carrying out the target, each once."""
        action, answer = self._scenario.action, self._scenario.answer
        wrong: dict[str, dict[str, Any]] = {
            "dropped": {"kind": "drop_answer"},
            "unheard": {"kind": "hold_request"},
            "late": {"kind": "hold_request", "delay_s": _LATE_S},
        }
        if answer == "renewed":
            return self._renewal()
        if action == "cancel_orders":
            wrong["reject"] = {"kind": "shrink_limit", "limit": 0}
        if answer not in wrong:
            return []
        mentioned = {
            "place_order": f'"{self._name("target")}"',
            "replace_order": f'"{self._price}"',
            "cancel_order": f'"{self._name("first")}"',
            "cancel_orders": "",
        }
        if action == "cancel_orders" and self._scenario.policy == "single_cancels":
            # What the bridge cancels of its own accord it names by orderId; the commands here name clientOrderIds.
            return [{**wrong[answer], "action": "cancel_order", "mentions": '"orderId"'}]
        return [{**wrong[answer], "action": action, "mentions": mentioned[action]}]

    def _renewal(self) -> list[dict[str, Any]]:
        """Let another order take the first one's place, and one request about it be lost."""
        renewed = {"kind": "replace_by_new_order", "action": "replace_order", "mentions": f'"{self._price}"'}
        if self._scenario.action == "replace_order":
            return [renewed]
        kind = self._dice.choice(("drop_answer", "hold_request"))
        return [renewed, {"kind": kind, "action": "cancel_order", "mentions": f'"{self._name("first")}"'}]

    def target(self) -> Command:
        """Return the command over which a daemon dies."""
        action, refused = self._scenario.action, self._scenario.answer == "reject"
        if action == "place_order":
            # Nothing is held, so nothing can be reduced: the venue refuses.
            args = self._order("target") | ({"reduceOnly": "true"} if refused else {})
        elif action == "replace_order":
            # Half a lot is refused.
            args = self._named("first") | {"replacePrice": self._price} | ({"replaceQty": "0.0035"} if refused else {})
        elif action == "cancel_order":
            args = {"clientOrderId": self._name("nobody" if refused else "first")}
        else:
            args = {"exchangeType": self._dice.choice(("ALL", "BINANCE"))}
        return self._command(action, args, command_id=self._scenario.command_id)

    def scene(self) -> list[Command | bytes]:
        """Return the target with commands of other orders before and behind it."""
        around: list[Command | bytes] = [self._place("before"), self.target(), self._place("behind")]
        if self._dice.random() < 0.4:
            around.insert(self._dice.choice((0, 2)), self._about("second", "cancel_order"))
        if self._dice.random() < 0.3:
            around.append(self._place("hasty", valid_s=self._dice.uniform(0.2, 1.5)))
        if self._dice.random() < 0.1:
            around.append(b"no command")
        if self._scenario.answer == "renewed" and self._scenario.action == "cancel_order":
            args = self._named("first") | {"replacePrice": self._price}
            around.insert(0, self._command("replace_order", args, role="first.renewed"))
        return around

    def aftermath(self) -> list[Command | bytes]:
        """Return what is sent once the daemon has died: repeats, conflicts, more about the same order."""
        dice, more = self._dice, list[Command | bytes]()
        if dice.random() < 0.5:
            more.append(self.target())
        if dice.random() < 0.2:
            more.append({**self.target(), "action": "cancel_order", "args": {"clientOrderId": self._name("other")}})
        if dice.random() < 0.5:
            order = "target" if self._scenario.action == "place_order" else "first"
            more.append(self._about(order, dice.choice(("cancel_order", "replace_order"))))
        if dice.random() < 0.3:
            more.append(self._place("brief", valid_s=dice.uniform(0.2, 5.0)))
        return more

    def _about(self, order: str, action: str) -> Command:
        args = {"clientOrderId": self._name(order)}
        if action == "replace_order":
            args["replacePrice"] = f"{22000 + self._scenario.number * 0.2:.1f}"
        return self._command(action, args, role=f"{order}.{action}")

    def _place(self, role: str, valid_s: float = _VALID_S) -> Command:
        return self._command("place_order", self._order(role), role=role, valid_s=valid_s)

    def _order(self, role: str) -> dict[str, str]:
        return {
            "sym": _SYM,
            "side": "BUY",
            "orderType": "LIMIT",
            "timeInForce": "GTC",
            "orderQty": "0.003",
            "limitPrice": "20000",
            "clientOrderId": self._name(role),
        }

    def _named(self, role: str) -> dict[str, str]:
        return {"clientOrderId": self._name(role)}

    def _name(self, role: str) -> str:
        return f"s{self._scenario.number}{role}"

    def _command(
        self, action: str, args: dict[str, str], *, command_id: str = "", role: str = "", valid_s: float = _VALID_S
    ) -> Command:
        return {
            "commandId": command_id or f"{self._scenario.number}.{role}",
            "action": action,
            "validUntil": int((time.time() + valid_s) * 1000),
            "args": args,
        }
