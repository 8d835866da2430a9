"""A portfolio's wallets, positions and orders; amounts move between them without rounding loss."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from bridge.sandbox.venue.decimals import ZERO, rounded, rounded_up
from bridge.sandbox.venue.instruments import Instrument
from bridge.sandbox.venue.market import Market
from bridge.sandbox.venue.orders import IdSequence, PositionSide, VenueOrder, VenueTrade
from bridge.sandbox.venue.settings import AccountSettings

_NO_EQUITY = Decimal(999999)


@dataclass(slots=True, kw_only=True)
class Wallet:
    """One coin on one exchange. `frozen` is the amount that open orders reserve."""

    exchange: str
    coin: str
    balance: Decimal
    frozen: Decimal = ZERO
    created_at_ms: int
    updated_at_ms: int

    def mark_updated(self, now_ms: int) -> None:
        """Set the time of a change; it grows strictly."""
        self.updated_at_ms = max(now_ms, self.updated_at_ms + 1)


@dataclass(slots=True, kw_only=True)
class VenuePosition:
    """A position in one symbol. `qty` and `cost` are signed: negative for a short, also a hedged one."""

    position_id: str
    instrument: Instrument
    side: PositionSide
    leverage: int
    qty: Decimal = ZERO
    cost: Decimal = ZERO
    fee: Decimal = ZERO
    created_at_ms: int
    updated_at_ms: int

    def mark_updated(self, now_ms: int) -> None:
        """Set the time of a change; it grows strictly."""
        self.updated_at_ms = max(now_ms, self.updated_at_ms + 1)

    @property
    def margin(self) -> Decimal:
        """The amount that the position reserves in its wallet."""
        return rounded_up(abs(self.cost) / self.leverage)

    def upnl(self, price: Decimal) -> Decimal:
        """Return the unrealised profit at a price."""
        return rounded(self.instrument.notional(self.qty, price) - self.cost)

    def add_fill(self, signed_qty: Decimal, price: Decimal) -> Decimal:
        """Add a signed fill and return the realised profit."""
        amount = self.instrument.notional(signed_qty, price)
        if self.qty * signed_qty >= 0:
            self.qty += signed_qty
            self.cost += amount
            return ZERO
        if abs(signed_qty) >= abs(self.qty):
            closed_cost, closed_amount = self.cost, self.instrument.notional(-self.qty, price)
        else:
            closed_cost, closed_amount = rounded(self.cost * abs(signed_qty) / abs(self.qty)), amount
        self.qty += signed_qty
        # The part beyond closing opens a position of the other side at its own price.
        self.cost += amount - closed_amount - closed_cost
        return -closed_amount - closed_cost


class Risk:
    """The risk figures of one exchange's account (LTP docs, Get Trading Account)."""

    def __init__(self, portfolio: "Portfolio", exchange: str, market: Market) -> None:
        held = [p for p in portfolio.positions.values() if p.qty and p.instrument.exchange == exchange]
        wallets = [w for w in portfolio.wallets.values() if w.exchange == exchange]
        values = [(p, p.instrument.notional(abs(p.qty), market[p.instrument.sym].price)) for p in held]
        self.exchange = exchange
        self.upnl = sum((p.upnl(market[p.instrument.sym].price) for p in held), ZERO)
        balances = sum((w.balance * market.coin_price(exchange, w.coin) for w in wallets), ZERO)
        self.frozen = sum((w.frozen * market.coin_price(exchange, w.coin) for w in wallets), ZERO)
        self.equity = rounded(balances + self.upnl)
        self.position_value = sum((value for _, value in values), ZERO)
        self.position_margin = sum((p.margin for p in held), ZERO)
        self.maintenance = rounded(sum((v * p.instrument.maintenance_rate for p, v in values), ZERO))
        self.opening_loss = rounded(max(ZERO, -self.upnl))

    @property
    def uni_mmr(self) -> Decimal | None:
        """Equity over maintenance margin; None without positions."""
        return rounded(self.equity / self.maintenance) if self.maintenance else None

    @property
    def ratio(self) -> Decimal:
        """Maintenance margin over equity; at 1 the account is liquidated."""
        if not self.maintenance:
            return ZERO
        return rounded(self.maintenance / self.equity) if self.equity > 0 else _NO_EQUITY


class Portfolio:
    """The wallets, positions, orders and trades of one portfolio."""

    def __init__(self, account: AccountSettings, portfolio_id: str, *, taker_fee_rate: Decimal, now_ms: int) -> None:
        self.portfolio_id = portfolio_id
        self.position_mode = account.position_mode
        self.leverage = account.leverage
        self._taker_fee_rate = taker_fee_rate
        self.wallets: dict[tuple[str, str], Wallet] = {
            (exchange, coin): Wallet(
                exchange=exchange, coin=coin, balance=balance, created_at_ms=now_ms, updated_at_ms=now_ms
            )
            for exchange, coins in account.balances.items()
            for coin, balance in coins.items()
        }
        self.positions: dict[tuple[str, PositionSide], VenuePosition] = {}
        self.orders: dict[str, VenueOrder] = {}
        self.orders_by_client_order_id: dict[str, VenueOrder] = {}
        self.open_orders: dict[str, VenueOrder] = {}
        self.open_count: dict[str, int] = {}
        self.trades: list[VenueTrade] = []
        # The last known account status of each exchange.
        self.account_statuses: dict[str, str] = {}

    @property
    def exchanges(self) -> Iterable[str]:
        """The exchanges on which this portfolio has a wallet, in a stable order."""
        return dict.fromkeys(exchange for exchange, _ in self.wallets)

    def wallet(self, exchange: str, coin: str, now_ms: int) -> Wallet:
        """Return a coin's wallet; an empty one is created at first use."""
        key = (exchange, coin)
        if key not in self.wallets:
            self.wallets[key] = Wallet(
                exchange=exchange, coin=coin, balance=ZERO, created_at_ms=now_ms, updated_at_ms=now_ms
            )
        return self.wallets[key]

    def position_margin(self, exchange: str, coin: str) -> Decimal:
        """Return the amount of a coin that the positions of an exchange reserve."""
        return sum(
            (
                p.margin
                for p in self.positions.values()
                if p.qty and p.instrument.exchange == exchange and p.instrument.quote == coin
            ),
            ZERO,
        )

    def available(self, exchange: str, coin: str) -> Decimal:
        """Return the amount that a new order may use: the balance less open orders and positions."""
        wallet = self.wallets.get((exchange, coin))
        if wallet is None:
            return ZERO
        return wallet.balance - wallet.frozen - self.position_margin(exchange, coin)

    def add_order(self, order: VenueOrder) -> None:
        """Add a new order."""
        self.orders[order.order_id] = order
        self.orders_by_client_order_id[order.client_order_id] = order
        self.open_orders[order.order_id] = order
        self.open_count[order.instrument.sym] = self.open_count.get(order.instrument.sym, 0) + 1

    def close_order(self, order: VenueOrder) -> None:
        """Remove an order that has ended from the open orders."""
        if self.open_orders.pop(order.order_id, None) is not None:
            self.open_count[order.instrument.sym] -= 1

    def reserved_coin(self, order: VenueOrder) -> str:
        """Return the coin that an order reserves: the base coin for a spot sell, else the quote coin."""
        sells_spot = order.side == "SELL" and not order.instrument.is_perp
        return order.instrument.base if sells_spot else order.instrument.quote

    def required_amount(self, order: VenueOrder, qty: Decimal, price: Decimal) -> Decimal:
        """Return the amount that an order of this quantity and price reserves."""
        if order.instrument.is_perp:
            if order.only_reduces:
                return ZERO
            return rounded_up(order.instrument.notional(qty, price) / order.leverage)
        if order.side == "SELL":
            return qty
        return rounded_up(order.instrument.notional(qty, price) * (1 + self._taker_fee_rate))

    def update_reserve(self, order: VenueOrder, now_ms: int) -> bool:
        """Update the amount that a resting order reserves; return whether that changed the wallet."""
        if order.is_terminal or order.limit_price is None:
            need = ZERO
        else:
            need = self.required_amount(order, order.remaining, order.limit_price)
        change = need - order.reserved
        if not change:
            return False
        wallet = self.wallet(order.instrument.exchange, self.reserved_coin(order), now_ms)
        wallet.frozen += change
        wallet.mark_updated(now_ms)
        order.reserved = need
        return True

    def closable_qty(self, order: VenueOrder) -> Decimal:
        """Return the quantity of the position that an order of this side can close."""
        position = self.positions.get((order.instrument.sym, order.position_side))
        held = position.qty if position is not None else ZERO
        against = held > 0 if order.side == "SELL" else held < 0
        return abs(held) if against else ZERO

    def position(self, order: VenueOrder, ids: IdSequence, now_ms: int) -> VenuePosition:
        """Return the position of an order's fills; a flat one is created at first use."""
        key = (order.instrument.sym, order.position_side)
        if key not in self.positions:
            self.positions[key] = VenuePosition(
                position_id=ids.long_id(),
                instrument=order.instrument,
                side=order.position_side,
                leverage=order.leverage,
                created_at_ms=now_ms,
                updated_at_ms=now_ms,
            )
        return self.positions[key]
