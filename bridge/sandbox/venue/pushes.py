"""The fields of each kind of push (LTP docs, WebSocket Orders, Trades, Assets, Positions)."""

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from bridge.sandbox.venue.decimals import ZERO, exact_product, format_decimal, rounded
from bridge.sandbox.venue.dialects import Dialect, Rebate
from bridge.sandbox.venue.ledger import VenuePush
from bridge.sandbox.venue.market import Market
from bridge.sandbox.venue.orders import TPSL_FIELDS, VenueOrder, VenueTrade
from bridge.sandbox.venue.portfolio import Portfolio, Risk, VenuePosition, Wallet

_SPELLINGS = {
    "official": {},
    "rejected": {"REJECT": "REJECTED"},
    "synonyms": {"REJECT": "REJECTED", "CANCELLED": "CANCELED"},
}
# The share of a coin's value that counts as margin.
_MARGIN_SHARE = Decimal("0.9999")


def order_row(order: VenueOrder, dialect: Dialect) -> dict[str, object]:
    """Return an order's full snapshot in the WebSocket's types: leverage is text, reduceOnly a JSON boolean."""
    executed = order.executed_qty * order.instrument.contract_size
    average = rounded(order.executed_amount / executed) if executed else ZERO
    state = str(order.state)
    return {
        "portfolioId": order.portfolio_id,
        "orderId": order.order_id,
        "clientOrderId": order.client_order_id,
        "exchangeType": order.instrument.exchange,
        "businessType": order.instrument.business,
        "sym": order.instrument.sym,
        "limitPrice": "" if order.limit_price is None else format_decimal(order.limit_price),
        "orderQty": "" if order.qty is None else format_decimal(order.qty),
        "quoteOrderQty": format_decimal(order.quote_qty),
        "side": order.side,
        "exchangeOrderType": order.order_type,
        "orderType": order.origin,
        "timeInForce": order.time_in_force,
        "executedQty": format_decimal(order.executed_qty),
        "executedAmount": format_decimal(order.executed_amount),
        "executedAvgPrice": format_decimal(average),
        "lastExecutedQty": format_decimal(order.last_qty),
        "lastExecutedPrice": format_decimal(order.last_price),
        "lastExecutedAmount": format_decimal(order.last_amount),
        "fee": format_decimal(order.fee),
        "feeCoin": order.instrument.quote if order.fee else "",
        "rebate": format_decimal(order.rebate),
        "rebateCoin": order.instrument.quote if order.rebate else "",
        "orderState": _SPELLINGS[dialect.order_states].get(state, state),
        "updateAt": str(order.updated_at_ms),
        "createAt": str(order.created_at_ms),
        "borrowAmount": "0",
        "borrowAsset": "",
        "reason": order.reason,
        "leverage": str(order.leverage),
        "positionSide": _spell_position_side(order.position_side, dialect),
        "reduceOnly": order.reduce_only,
        **{name: order.tpsl.get(name, "") for name in TPSL_FIELDS},
        "action": str(order.action),
        "actionMsg": order.action_message,
        "cancelType": order.cancel_type,
        "amendType": order.amend_type,
    }


def _spell_position_side(side: str, dialect: Dialect) -> str:
    return dialect.net_side if side == "NONE" else side


def trading_fee(trade: VenueTrade) -> dict[str, str]:
    """Return an execution's fee as one signed field, negative for a rebate."""
    return {
        "tradingFee": format_decimal(trade.fee),
        "tradingFeeCoin": trade.order.instrument.quote if trade.fee else "",
    }


def split_fee(trade: VenueTrade, rebate: Rebate) -> dict[str, str]:
    """Return an execution's fee and rebate as separate fields; the rebate may be that of its order so far."""
    coin = trade.order.instrument.quote
    rebated = trade.order_rebate if rebate == "order" else max(-trade.fee, ZERO)
    return {
        "fee": format_decimal(max(trade.fee, ZERO)),
        "feeCoin": coin if trade.fee > 0 else "",
        "rebate": format_decimal(rebated),
        "rebateCoin": coin if rebated else "",
    }


def trade_row(trade: VenueTrade, dialect: Dialect) -> dict[str, object]:
    """Return an execution."""
    order = trade.order
    return {
        "transactionId": trade.transaction_id,
        "portfolioId": order.portfolio_id,
        "orderId": order.order_id,
        "clientOrderId": order.client_order_id,
        "exchangeType": order.instrument.exchange,
        "businessType": order.instrument.business,
        "sym": order.instrument.sym,
        "side": order.side,
        "quantity": format_decimal(trade.qty),
        "price": format_decimal(trade.price),
        **(split_fee(trade, "fill") if dialect.trading_fee == "gone" else trading_fee(trade)),
        "rpnl": format_decimal(trade.rpnl),
        "createAt": str(trade.created_at_ms),
        "execType": trade.exec_type,
    }


def asset_row(portfolio: Portfolio, wallet: Wallet, market: Market) -> dict[str, object]:
    """Return a coin's balance. Loan fields are absent: they appear only with a loan (LTP change log, 2026-06-30)."""
    price = market.coin_price(wallet.exchange, wallet.coin)
    margin = portfolio.position_margin(wallet.exchange, wallet.coin)
    risk = Risk(portfolio, wallet.exchange, market) if margin else None
    upnl = risk.upnl if risk else ZERO
    equity = wallet.balance + upnl
    available = format_decimal(wallet.balance - wallet.frozen - margin)
    value = format_decimal(rounded(equity * price))
    return {
        "portfolioId": portfolio.portfolio_id,
        "exchangeType": wallet.exchange,
        "coin": wallet.coin,
        "balance": format_decimal(wallet.balance),
        "available": available,
        "frozen": format_decimal(wallet.frozen),
        "debt": "0",
        "equity": format_decimal(equity),
        "borrow": "0",
        "overdraw": "0",
        "virtualBorrow": "0",
        "indexPrice": format_decimal(price),
        "marginValue": format_decimal(exact_product(rounded(equity * price), _MARGIN_SHARE)),
        "upnl": format_decimal(upnl),
        "debtMargin": "0",
        "perpMargin": format_decimal(margin + (wallet.frozen if wallet.coin == "USDT" else ZERO)),
        "maxTransferable": available,
        "equityValue": value,
        "createAt": str(wallet.created_at_ms),
        "updateAt": str(wallet.updated_at_ms),
    }


def position_row(portfolio: Portfolio, position: VenuePosition, market: Market, dialect: Dialect) -> dict[str, object]:
    """Return a position; the quantity is signed when the side is NONE, and "0" after closing."""
    mark = market[position.instrument.sym].price
    value = position.instrument.notional(abs(position.qty), mark)
    upnl = position.upnl(mark)
    coins = position.qty * position.instrument.contract_size
    row: dict[str, object] = {
        "positionId": position.position_id,
        "portfolioId": portfolio.portfolio_id,
        "exchangeType": position.instrument.exchange,
        "sym": position.instrument.sym,
        "positionSide": _spell_position_side(position.side, dialect),
        "positionQty": format_decimal(position.qty if position.side == "NONE" else abs(position.qty)),
        "positionValue": format_decimal(value),
        "positionMargin": format_decimal(position.margin),
        "positionMM": format_decimal(rounded(value * position.instrument.maintenance_rate)),
        "unrealizedPNL": format_decimal(upnl),
        "unrealizedPNLRate": format_decimal(rounded(upnl / position.margin) if position.margin else ZERO),
        "avgPrice": format_decimal(rounded(position.cost / coins) if coins else ZERO),
        "markPrice": format_decimal(mark),
        "leverage": str(position.leverage),
        "maxLeverage": str(position.instrument.leverage_max),
        "riskLevel": "1",
        "fee": format_decimal(position.fee),
        "fundingFee": "0",
        "createAt": str(position.created_at_ms),
        "updateAt": str(position.updated_at_ms),
    }
    if dialect.liq_price == "sent":
        row["liqPrice"] = _liquidation_price(portfolio, position, market)
    return row


def _liquidation_price(portfolio: Portfolio, position: VenuePosition, market: Market) -> str | None:
    """Return the price at which this position alone would use up the account; None if there is none."""
    risk = Risk(portfolio, position.instrument.exchange, market)
    coins = position.qty * position.instrument.contract_size
    mark = market[position.instrument.sym].price
    slope = abs(coins) * position.instrument.maintenance_rate - coins
    price = rounded((risk.equity - coins * mark) / slope) if slope else ZERO
    return format_decimal(price) if price > 0 else None


def risk_row(portfolio: Portfolio, risk: Risk, status: str, dialect: Dialect) -> dict[str, object]:
    """Return an exchange account's risk, in the fields of the account endpoint and margin calls."""
    available = risk.equity - risk.frozen - risk.position_margin
    return {
        "portfolioId": portfolio.portfolio_id,
        "exchangeType": risk.exchange,
        "equity": format_decimal(risk.equity),
        "maintainMargin": format_decimal(risk.maintenance),
        "positionValue": format_decimal(risk.position_value),
        "uniMMR": dialect.no_risk if risk.uni_mmr is None else format_decimal(risk.uni_mmr),
        "riskRatio": format_decimal(risk.ratio),
        "accountStatus": status,
        "marginValue": format_decimal(risk.equity),
        "frozenMargin": format_decimal(rounded(risk.frozen)),
        "perpMargin": format_decimal(rounded(risk.frozen + risk.position_margin)),
        "debtMargin": "0",
        "openLossMargin": format_decimal(risk.opening_loss),
        "validMargin": format_decimal(risk.equity),
        "availableMargin": format_decimal(rounded(max(ZERO, available))),
        "upnl": format_decimal(risk.upnl),
        "positionMode": portfolio.position_mode,
    }


def make_push(portfolio_id: str, channel: str, row: object, *, key: str, identity: str, sym: str = "") -> VenuePush:
    """Return the push of a row in its envelope; `instId` repeats the symbol where the documents show it."""
    payload = msgspec.json.encode(row)
    head: dict[str, str] = {"channel": channel}
    if sym:
        head["instId"] = sym
    frame = msgspec.json.encode(head)[:-1] + b',"data":' + payload + b"}"
    return VenuePush(
        portfolio_id=portfolio_id, channel=channel, key=key, identity=identity, payload=payload, frame=frame
    )


def redate_push(event: VenuePush, early_s: float) -> VenuePush:
    """Return the push with its `updateAt` moved back by `early_s`; a push without one is returned unchanged."""
    row = msgspec.json.decode(event.payload, type=dict[str, object])
    if "updateAt" not in row:
        return event
    row["updateAt"] = str(int(str(row["updateAt"])) - round(early_s * 1000))
    payload = msgspec.json.encode(row)
    return msgspec.structs.replace(event, payload=payload, frame=event.frame.replace(event.payload, payload))


class PushQueue:
    """The pushes that one action or market step makes, in order."""

    def __init__(self, market: Market, dialect: Dialect) -> None:
        self._market = market
        self._dialect = dialect
        self._queued: list[VenuePush] = []

    def drain(self) -> list[VenuePush]:
        """Return the pushes and empty the queue."""
        made, self._queued = self._queued, []
        return made

    def add_order(self, order: VenueOrder, now_ms: int) -> None:
        """Set the order's update time and add its full snapshot."""
        order.mark_updated(now_ms)
        identity = f"{order.order_id}:{order.state}:{format_decimal(order.executed_qty)}:{order.updated_at_ms}"
        row = order_row(order, self._dialect)
        if self._dialect.order_pushes == "contest":
            row["orderType"] = order.order_type
        self._add_push("Orders", row, order.order_id, identity, order.instrument.sym)

    def add_trade(self, trade: VenueTrade) -> None:
        """Add one execution."""
        order = trade.order
        sym = order.instrument.sym
        identity = f"{order.instrument.exchange}:{sym}:{order.order_id}:{trade.transaction_id}"
        self._add_push("Trades", trade_row(trade, self._dialect), order.order_id, identity, sym)

    def add_asset(self, portfolio: Portfolio, wallet: Wallet) -> None:
        """Add a coin's balance."""
        key = f"{wallet.exchange}:{wallet.coin}"
        row = asset_row(portfolio, wallet, self._market)
        self._add_push("Assets", row, key, f"{key}:{wallet.updated_at_ms}")

    def add_position(self, portfolio: Portfolio, position: VenuePosition) -> None:
        """Add a position."""
        key = f"{position.instrument.sym}:{position.side}"
        row = position_row(portfolio, position, self._market, self._dialect)
        self._add_push("Positions", row, key, f"{key}:{position.updated_at_ms}")

    def add_margin_call(self, portfolio: Portfolio, risk: Risk, status: str, now_ms: int) -> None:
        """Add a margin call: an account's risk has crossed a threshold."""
        row = {**risk_row(portfolio, risk, status, self._dialect), "updateAt": str(now_ms)}
        self._add_push("MarginCall", row, risk.exchange, f"{risk.exchange}:{status}:{now_ms}")

    def _add_push(self, channel: str, row: Mapping[str, object], key: str, identity: str, sym: str = "") -> None:
        portfolio_id = str(row["portfolioId"])
        if self._dialect.order_pushes == "contest":
            sym = ""
        self._queued.append(make_push(portfolio_id, channel, row, key=key, identity=identity, sym=sym))
