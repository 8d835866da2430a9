"""A synthetic market for each symbol; the same seed and the same steps give the same prices."""

import random
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Literal

from bridge.sandbox.venue.decimals import ZERO, rounded_up
from bridge.sandbox.venue.instruments import Instrument

Side = Literal["BUY", "SELL"]

LEVELS_MAX = 50
# Each step pulls the price back to its start by the distance divided by this.
_PULL_DIVISOR = 200


class Quotation:
    """One symbol's market: a price, a spread of one tick on each side, and levels, which each step renews."""

    def __init__(self, instrument: Instrument, seed: int, passing_lots_max: int) -> None:
        self.instrument = instrument
        self._start_ticks = int(instrument.start_price / instrument.tick_size)
        self._ticks = self._start_ticks
        self._passing_lots_max = passing_lots_max
        # A replayable market, not cryptography.
        self._random = random.Random(f"{seed}:{instrument.sym}")  # noqa: S311
        self._taken: dict[Side, list[Decimal]] = {"BUY": [], "SELL": []}
        self.passing_qty = ZERO
        self._draw_passing_qty()

    def _draw_passing_qty(self) -> None:
        lots = self._random.randint(1, self._passing_lots_max)
        self.passing_qty = lots * self.instrument.lot_size

    @property
    def price(self) -> Decimal:
        """The mark price, which is also the index price here."""
        return self._ticks * self.instrument.tick_size

    @property
    def bid(self) -> Decimal:
        """The best price a seller gets."""
        return (self._ticks - 1) * self.instrument.tick_size

    @property
    def ask(self) -> Decimal:
        """The best price a buyer pays."""
        return (self._ticks + 1) * self.instrument.tick_size

    def step(self) -> None:
        """Move the price at random, pull it back towards its start, and renew the levels."""
        most = self.instrument.step_ticks_max
        pull = (self._start_ticks - self._ticks) // _PULL_DIVISOR
        self._set_ticks(self._ticks + self._random.randint(-most, most) + pull)

    def move(self, price: Decimal) -> None:
        """Set the price."""
        self._set_ticks(int(price / self.instrument.tick_size))

    def _set_ticks(self, ticks: int) -> None:
        self._ticks = max(2, ticks)
        self._taken = {"BUY": [], "SELL": []}
        self._draw_passing_qty()

    def crosses(self, side: Side, limit_price: Decimal) -> bool:
        """Return whether a limit order would trade at once."""
        return limit_price >= self.ask if side == "BUY" else limit_price <= self.bid

    def levels(self, side: Side, limit_price: Decimal | None) -> Iterator[tuple[int, Decimal, Decimal]]:
        """Yield (level, price, quantity left) for a taker, best price first, up to the limit price."""
        taken = self._taken[side]
        for level in range(min(LEVELS_MAX, self._ticks - 1)):
            ticks = self._ticks + 1 + level if side == "BUY" else self._ticks - 1 - level
            price = ticks * self.instrument.tick_size
            if limit_price is not None and (price > limit_price if side == "BUY" else price < limit_price):
                return
            offered = self.instrument.level_qty * (level + 1)
            left = offered - (taken[level] if level < len(taken) else ZERO)
            if left > 0:
                yield level, price, left

    def take_level(self, side: Side, level: int, qty: Decimal) -> None:
        """Use up part of a level until the next step."""
        taken = self._taken[side]
        taken.extend([ZERO] * (level + 1 - len(taken)))
        taken[level] += qty

    def market_cost(self, side: Side, qty: Decimal) -> Decimal:
        """Return the quote amount of a market order of this quantity, as far as the levels reach."""
        total, left = ZERO, qty
        for _, price, offered in self.levels(side, None):
            part = min(left, offered)
            total += self.instrument.notional(part, price)
            left -= part
            if left == 0:
                break
        return rounded_up(total)

    def available_qty(self, side: Side, limit_price: Decimal) -> Decimal:
        """Return the quantity that a taker can get within a limit price."""
        return sum((left for _, _, left in self.levels(side, limit_price)), ZERO)


class Market:
    """The quotations of all symbols."""

    def __init__(self, instruments: Iterable[Instrument], seed: int, passing_lots_max: int) -> None:
        self.quotations = {item.sym: Quotation(item, seed, passing_lots_max) for item in instruments}

    def __getitem__(self, sym: str) -> Quotation:
        return self.quotations[sym]

    def find(self, sym: str) -> Quotation | None:
        """Return the quotation of a symbol; None if the venue does not trade it."""
        return self.quotations.get(sym)

    def step(self) -> None:
        """Move every price once."""
        for quotation in self.quotations.values():
            quotation.step()

    def coin_price(self, exchange: str, coin: str) -> Decimal:
        """Return a coin's index price in USDT; zero for a coin that no symbol of the exchange has."""
        if coin == "USDT":
            return Decimal(1)
        for quotation in self.quotations.values():
            if quotation.instrument.exchange == exchange and quotation.instrument.base == coin:
                return quotation.price
        return ZERO
