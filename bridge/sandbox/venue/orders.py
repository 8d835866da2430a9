"""Orders and executions of the venue (LTP docs, Enum Definitions; WebSocket Orders and Trades)."""

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Literal

from bridge.sandbox.venue.decimals import ZERO
from bridge.sandbox.venue.instruments import Instrument
from bridge.sandbox.venue.market import Side

OrderType = Literal["LIMIT", "MARKET"]
TimeInForce = Literal["GTC", "IOC", "FOK", "GTX"]
PositionSide = Literal["NONE", "LONG", "SHORT"]
ExecType = Literal["MAKER", "TAKER"]

TPSL_FIELDS = ("tpTriggerPrice", "tpTriggerType", "tpPrice", "slTriggerPrice", "slTriggerType", "slPrice")


class OrderState(StrEnum):
    """The state of an order."""

    NEW = "NEW"
    OPEN = "OPEN"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELLED = "CANCELLED"
    REJECT = "REJECT"
    FAIL = "FAIL"


TERMINAL = frozenset({OrderState.FILLED, OrderState.CANCELLED, OrderState.REJECT, OrderState.FAIL})
REPLACEABLE = frozenset({OrderState.OPEN, OrderState.PARTIALLY_FILLED})


class OrderAction(StrEnum):
    """The cancel or replace that is applied to an order, beside its state; the venue spells COMPLETE and COMPLETED."""

    NONE = ""
    CANCEL_PENDING = "CANCEL_PENDING"
    CANCEL_COMPLETE = "CANCEL_COMPLETE"
    CANCEL_FAILED = "CANCEL_FAILED"
    AMEND_PENDING = "AMEND_PENDING"
    AMEND_COMPLETED = "AMEND_COMPLETED"
    AMEND_FAILED = "AMEND_FAILED"


def closes_hedge(side: Side, position_side: PositionSide) -> bool:
    """Return whether this is the closing side of a hedged position."""
    return side == {"LONG": "SELL", "SHORT": "BUY"}.get(position_side)


@dataclass(slots=True, kw_only=True, eq=False)
class VenueOrder:
    """One order. `qty` is None for a market buy by quote amount, `limit_price` None for a market order."""

    order_id: str
    client_order_id: str
    portfolio_id: str
    instrument: Instrument
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    qty: Decimal | None
    limit_price: Decimal | None
    quote_qty: Decimal = ZERO
    reduce_only: bool = False
    position_side: PositionSide = "NONE"
    leverage: int = 1
    origin: str = "DMA"
    tpsl: dict[str, str] = field(default_factory=dict)
    created_at_ms: int
    updated_at_ms: int = 0
    state: OrderState = OrderState.NEW
    action: OrderAction = OrderAction.NONE
    action_message: str = ""
    reason: str = ""
    cancel_type: str = ""
    amend_type: str = ""
    executed_qty: Decimal = ZERO
    executed_amount: Decimal = ZERO
    last_qty: Decimal = ZERO
    last_price: Decimal = ZERO
    last_amount: Decimal = ZERO
    fee: Decimal = ZERO
    rebate: Decimal = ZERO
    # The amount reserved in its wallet, and the number of its valid entry in the order book.
    reserved: Decimal = ZERO
    queue_number: int = 0

    @property
    def is_terminal(self) -> bool:
        """Return whether the order has ended."""
        return self.state in TERMINAL

    @property
    def remaining(self) -> Decimal:
        """The quantity not executed yet; zero for an order by quote amount."""
        return ZERO if self.qty is None else self.qty - self.executed_qty

    @property
    def only_reduces(self) -> bool:
        """Return whether the order may only reduce a position: by its flag, or as the closing side of a hedge."""
        return self.reduce_only or closes_hedge(self.side, self.position_side)

    def make_successor(self, order_id: str, qty: Decimal, limit_price: Decimal, created_at_ms: int) -> "VenueOrder":
        """Return a new order with the same clientOrderId and options, but another quantity and price."""
        return VenueOrder(
            order_id=order_id,
            client_order_id=self.client_order_id,
            portfolio_id=self.portfolio_id,
            instrument=self.instrument,
            side=self.side,
            order_type=self.order_type,
            time_in_force=self.time_in_force,
            qty=qty,
            limit_price=limit_price,
            reduce_only=self.reduce_only,
            position_side=self.position_side,
            leverage=self.leverage,
            origin=self.origin,
            tpsl=self.tpsl,
            created_at_ms=created_at_ms,
        )

    def mark_updated(self, now_ms: int) -> None:
        """Set the time of a change; it grows strictly, so that two snapshots never have the same updateAt."""
        self.updated_at_ms = max(now_ms, self.updated_at_ms + 1)


@dataclass(slots=True, frozen=True, kw_only=True)
class VenueTrade:
    """One execution. `fee` is signed: negative is a rebate received."""

    transaction_id: str
    order: VenueOrder
    qty: Decimal
    price: Decimal
    fee: Decimal
    rpnl: Decimal
    created_at_ms: int
    exec_type: ExecType
    # The sum of the rebates of its order up to this fill.
    order_rebate: Decimal = ZERO


class IdSequence:
    """Rising ids from the start time: orderId has 16 digits, transactionId and positionId have 17."""

    def __init__(self, start_ms: int) -> None:
        self._order = start_ms * 1_000
        self._long = start_ms * 10_000

    def order_id(self) -> str:
        """Return the next orderId."""
        self._order += 1
        return str(self._order)

    def long_id(self) -> str:
        """Return the next transactionId or positionId."""
        self._long += 1
        return str(self._long)
