"""A desk that trades while everything goes wrong, and what else happens to an account: others trade it, risk rises."""

import asyncio
import contextlib
import random
from collections import deque
from typing import Any, Self

from aiokafka.errors import KafkaError

from tests.support.rig import Rig, command

_BTC, _ETH = "BINANCE_PERP_BTC_USDT", "OKX_PERP_ETH_USDT"
_SYMBOLS = (_BTC, _ETH, "BINANCE_PERP_ETH_USDT")
_QTY = {_BTC: "0.003", _ETH: "1", "BINANCE_PERP_ETH_USDT": "0.05"}
_NEAR = 3
"""How many steps of the market, at most, away from it an order is put."""
_PAUSE_S = 0.12
_NAMES_KEPT = 40


class Desk:
    """Places, fills, cancels, replaces, closes; the same seed asks for the same things as far as the market allows."""

    def __init__(self, rig: Rig, dice: random.Random) -> None:
        self._rig = rig
        self._dice = dice
        self._names: deque[str] = deque(maxlen=_NAMES_KEPT)
        self._others: deque[str] = deque(maxlen=_NAMES_KEPT)
        self._trading: asyncio.Task[None]
        self.asked = 0
        """How many commands were written."""

    async def __aenter__(self) -> Self:
        self._trading = asyncio.create_task(self._trade(), name="desk")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Trade no more, and let the market stand still. Raises what trading failed with."""
        self._trading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._trading

    async def _trade(self) -> None:
        while True:
            what = self._dice.choices((self._command, self._other, self._market, self._risk), (50, 20, 28, 2))[0]
            await what()
            await asyncio.sleep(self._dice.uniform(0.2, 1.8) * _PAUSE_S)

    async def _command(self) -> None:
        dice = self._dice
        action = dice.choices(("place_order", "replace_order", "cancel_order", "cancel_orders"), (60, 14, 24, 2))[0]
        if action == "place_order" or not self._names:
            one = command("place_order", self._order(), valid_s=dice.choice((3, 20)))
            self._names.append(one["commandId"].replace("-", ""))
        elif action == "cancel_orders":
            one = command(action, {"exchangeType": dice.choice(("BINANCE", "OKX"))}, valid_s=20)
        else:
            args = {"clientOrderId": dice.choice(self._names)}
            if action == "replace_order":
                args["replacePrice"] = self._price(_BTC, dice.choice(("BUY", "SELL")))
            one = command(action, args, valid_s=20)
        with contextlib.suppress(KafkaError):
            await self._rig.send(one)
            self.asked += 1

    async def _other(self) -> None:
        """Let somebody else trade the account."""
        act = self._rig.venue.inject.foreign_action
        if self._others and self._dice.random() < 0.3:
            act("main", "cancel_order", {"clientOrderId": self._others.popleft()})
            return
        outcome = act("main", "place_order", self._order())
        if outcome.data is not None:
            self._others.append(str(outcome.data["clientOrderId"]))

    async def _market(self) -> None:
        self._rig.venue.step()

    async def _risk(self) -> None:
        status = self._dice.choice(("MARGIN_CALL", "LIQUIDATING", "NORMAL"))
        self._rig.venue.inject.margin_call("main", self._dice.choice(("BINANCE", "OKX")), status)

    def _order(self) -> dict[str, Any]:
        dice, sym = self._dice, self._dice.choices(_SYMBOLS, (70, 15, 15))[0]
        side = dice.choice(("BUY", "SELL"))
        held = self._rig.venue.portfolio().positions.get((sym, "NONE"))
        order = {"sym": sym, "side": side, "orderQty": _QTY[sym], "orderType": "LIMIT", "timeInForce": "GTC"}
        kind = dice.random()
        if held is not None and held.qty and kind < 0.15:
            # All of it, so that a position ends.
            close = {"side": "SELL" if held.qty > 0 else "BUY", "orderQty": str(abs(held.qty)), "reduceOnly": "true"}
            return {"sym": sym, "orderType": "MARKET", **close}
        if kind < 0.35:
            return {"sym": sym, "side": side, "orderQty": _QTY[sym], "orderType": "MARKET"}
        if kind < 0.45:
            return {**order, "limitPrice": "20000" if sym == _BTC else "1000", "side": "BUY"}
        return {**order, "limitPrice": self._price(sym, side)}

    def _price(self, sym: str, side: str) -> str:
        """Return a price that the market may reach soon."""
        quotation = self._rig.venue.quotation(sym)
        step = quotation.instrument.tick_size * quotation.instrument.step_ticks_max
        away = step * self._dice.randint(0, _NEAR * 4) / 4
        price = quotation.price - away if side == "BUY" else quotation.price + away
        return format(price.quantize(quotation.instrument.tick_size), "f")
