"""An account's hour in virtual time: what happens at the venue, when the stream tells it, and how REST shows it."""

from collections.abc import Iterable, Iterator
from random import Random

import msgspec
from msgspec import Struct

from bridge.contract.pushes import OrderPush
from bridge.contract.topics import Stream
from bridge.core.order_states import TERMINAL
from bridge.core.stream.sweep import Sweep, SweepOutcome
from bridge.core.stream.venue_record import PARSERS
from tests.support.one_recovery import LOGIN_MS, OneRecovery, Row, asset, order, position, raw, trade

HOUR_MS = 3_600_000
_BEFORE_MS = 300_000
_COINS = ("USDT", "BTC", "ETH")
_SYMS = ("OKX_PERP_ETH_USDT", "OKX_PERP_BTC_USDT")
_QUESTION_S = 0.4


class Fact(Struct, frozen=True):
    """What happened at the venue, and how it is told. `last` of its key: nothing follows that would tell it too."""

    at_ms: int
    stream: Stream
    row: Row
    key: str
    last: bool = False


def _fact(at_ms: int, stream: Stream, row: Row) -> Fact:
    return Fact(at_ms, stream, row, PARSERS[stream](raw(row)).key)


class Trading:
    """Random orders, fills, balances and positions."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._open: dict[str, int] = {}
        self._names = iter(range(1_000_000))

    def facts(self) -> list[Fact]:
        """Return all that happens from five minutes before the login on, and whether it is the last of its key."""
        at_ms, facts = LOGIN_MS - _BEFORE_MS, list[Fact]()
        while (at_ms := at_ms + self._random.randint(1, 12_000)) < LOGIN_MS + HOUR_MS - 120_000:
            facts += self._step(at_ms)
        latest = {(fact.stream, fact.key): n for n, fact in enumerate(facts)}
        return [msgspec.structs.replace(fact, last=latest[fact.stream, fact.key] == n) for n, fact in enumerate(facts)]

    def _step(self, at_ms: int) -> Iterator[Fact]:
        what = self._random.random()
        if what < 0.35 or not self._open:
            name = f"{next(self._names)}"
            self._open[name] = 0
            yield _fact(at_ms, Stream.ORDERS, order(at_ms, "NEW", order_id=name))
            yield _fact(at_ms + 1, Stream.ORDERS, order(at_ms + 1, "OPEN", order_id=name))
            return
        name = self._random.choice(list(self._open))
        if what < 0.6:
            yield _fact(at_ms, Stream.ORDERS, order(at_ms, "CANCELLED", str(self._open.pop(name)), name))
        else:
            yield from self._filled(at_ms, name)

    def _filled(self, at_ms: int, name: str) -> Iterator[Fact]:
        self._open[name] += 1
        executed = self._open[name]
        state = "FILLED" if executed == 3 else "PARTIALLY_FILLED"
        if state == "FILLED":
            del self._open[name]
        yield _fact(at_ms, Stream.TRADES, trade(at_ms, f"{name}-{executed}", orderId=name))
        yield _fact(at_ms, Stream.ORDERS, order(at_ms, state, str(executed), name))
        sym, coin = self._random.choice(_SYMS), self._random.choice(_COINS)
        yield _fact(at_ms, Stream.POSITIONS, position(at_ms, str(self._random.randint(0, 2)), sym))
        yield _fact(at_ms, Stream.ASSETS, asset(at_ms, str(self._random.randint(0, 99)), coin))


class OneHour:
    """One login at the beginning of the hour; `muted` is what the stream does not tell.

    The stream is late by up to 5 s, in order. REST is late by up to `lag_ms`, another time for every question.
    """

    def __init__(self, random: Random, one: OneRecovery, lag_ms: int, facts: list[Fact], muted: Fact | None) -> None:
        self.one = one.begin()
        self.facts = facts
        self.missed_at_ms: list[int] = []
        self._random = random
        self._lag_ms = lag_ms
        self._pushes = list(reversed([*self._delivered(fact for fact in facts if fact is not muted)]))
        self._ticked_ms = 0

    def run(self) -> None:
        """Live through the hour, sweeping whenever it is due."""
        while self.one.now.wall_ms < LOGIN_MS + HOUR_MS:
            self._pass(1)
            if self.one.now.boot_s >= self.one.recovery.sweep_due_boot_s:
                self._sweep()

    def truth(self, stream: Stream) -> dict[str, Row]:
        """Return how everything is at the end, but for orders that were over before the login."""
        ends = {fact.key: fact for fact in self.facts if fact.stream is stream}
        of_now = {key: fact for key, fact in ends.items() if fact.at_ms > LOGIN_MS}
        live = {key: fact for key, fact in ends.items() if fact.row.get("orderState") not in TERMINAL}
        return {key: fact.row for key, fact in (live | of_now).items()}

    def _delivered(self, facts: Iterable[Fact]) -> Iterator[tuple[int, Fact]]:
        at_ms = 0
        for fact in facts:
            at_ms = max(at_ms, fact.at_ms + self._random.randint(0, 5000))
            if fact.at_ms >= LOGIN_MS:
                yield at_ms, fact

    def _pass(self, seconds: float) -> None:
        until_ms = self.one.now.wall_ms + int(seconds * 1000)
        while self._pushes and self._pushes[-1][0] <= until_ms:
            at_ms, fact = self._pushes.pop()
            self.one.wait((at_ms - self.one.now.wall_ms) / 1000)
            self.one.push(fact.stream, fact.row)
        self.one.wait((until_ms - self.one.now.wall_ms) / 1000)
        if until_ms - self._ticked_ms > 10_000:
            self.one.tick()
            self._ticked_ms = until_ms

    def _shown(self, stream: Stream) -> dict[str, Row]:
        """Ask REST: the newest of every key at some moment not long ago. A position's worth moves besides."""
        self._pass(_QUESTION_S)
        view_ms = self.one.now.wall_ms - self._random.randint(0, self._lag_ms)
        seen = [fact for fact in self.facts if fact.stream is stream and fact.at_ms <= view_ms]
        if stream is Stream.TRADES:
            return {fact.row["transactionId"]: fact.row for fact in seen}
        shown = {fact.key: fact.row for fact in seen}
        if stream is Stream.POSITIONS:
            shown = {
                key: row | {"updateAt": str(view_ms), "markPrice": str(view_ms)}
                for key, row in shown.items()
                if row["positionQty"] != "0"
            }
        return shown

    def _sweep(self) -> None:
        one = self.one
        sweep = one.recovery.begin_sweep(one.now)
        self._orders(sweep)
        executed = self._shown(Stream.TRADES).values()
        one.take(sweep, Stream.TRADES, *(row for row in executed if int(row["createAt"]) >= sweep.since_ms))
        for stream in (Stream.ASSETS, Stream.POSITIONS):
            rows = [raw(row) for row in self._shown(stream).values()]
            one.recovery.compare_list(sweep, stream, one.recovery.compare_rows(sweep, stream, rows, one.now), one.now)
        if one.end(sweep) is SweepOutcome.MISSED:
            self.missed_at_ms.append(one.now.wall_ms)
            one.log_in()

    def _orders(self, sweep: Sweep) -> None:
        one = self.one
        rows = [row for row in self._shown(Stream.ORDERS).values() if row["orderState"] not in TERMINAL]
        listed = one.recovery.compare_rows(sweep, Stream.ORDERS, [raw(row) for row in rows], one.now)
        for shown in rows:
            one.account.on_order(msgspec.convert(shown, OrderPush), one.now)
        one.account.on_open_orders(listed, one.now.boot_s, one.now)
        ended = [row for row in self._shown(Stream.ORDERS).values() if row["orderState"] in TERMINAL]
        ended = [row for row in ended if int(row["updateAt"]) >= sweep.since_ms]
        one.take(sweep, Stream.ORDERS, *ended)
        listed |= {row["orderId"] for row in ended}
        for found in one.recovery.find_unlisted_orders(sweep, listed, one.now):
            if (row := self._shown(Stream.ORDERS).get(found.order_id)) is not None:
                one.take(sweep, Stream.ORDERS, row)
