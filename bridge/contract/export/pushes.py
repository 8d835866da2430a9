"""Every documented field of the venue's pushes, for the published schemas.

The bridge publishes values byte for byte and reads only the fields in `contract/pushes.py`. This module adds the other
fields as the venue documents them. Nothing checks them, so the contract promises no type for them: a new field, or one
of another type, must not delay a fill. (LTP docs, User Data Overview: Orders, Trades, Assets, Positions;
recorded messages; REST rows where a channel has no table.)
"""

from typing import Annotated, Any

from msgspec import Meta, field

from bridge.contract.pushes import AssetPush, LiquidationPush, MarginCallPush, OrderPush, PositionPush, TradePush


def _field_meta(meaning: str, *examples: str | bool | None) -> Meta:
    return Meta(description=meaning, examples=list(examples))


_DECIMAL = _field_meta("A decimal as a string.", "0.5")
_FREE_TEXT = _field_meta("Text; may be empty.", "")

DecimalString = Annotated[Any, _DECIMAL]
Portfolio = Annotated[Any, _field_meta("The portfolio that the API key selects.", "1702884522340000")]
ExchangeName = Annotated[Any, _field_meta("BINANCE, OKX or EDX.", "BINANCE")]
Business = Annotated[Any, _field_meta("SPOT, MARGIN or PERP.", "PERP")]
Coin = Annotated[Any, _field_meta("The coin of the amount beside it; may be empty.", "USDT")]
Leverage = Annotated[Any, _field_meta("Leverage, as a string.", "20")]
FreeText = Annotated[Any, _FREE_TEXT]
Trigger = Annotated[Any, _field_meta("LAST_PRICE or MARK_PRICE; may be empty.", "")]
Loan = Annotated[Any, _field_meta("A decimal as a string; present only while something is lent.", "0")]
Created = Annotated[Any, _field_meta("When the venue created it, Unix ms as a string.", "1775010129278")]


class DocumentedOrder(OrderPush, frozen=True, rename="camel"):
    """`Orders`: a full snapshot of one order at every change (LTP docs, User Data Overview)."""

    portfolio_id: Portfolio = None
    exchange_type: ExchangeName = None
    business_type: Business = None
    quote_order_qty: Annotated[Any, _field_meta("Amount in the quote coin, as a decimal string.", "0")] = None
    exchange_order_type: Annotated[Any, _field_meta("LIMIT or MARKET.", "LIMIT")] = None
    order_type: Annotated[
        Any,
        _field_meta(
            "The origin of the order: DMA (a user), REPLACE, SYSTEM, SYSTEM_LIQ, SYSTEM_REDUCE, DELIST, SETTLEMENT.",
            "DMA",
        ),
    ] = None
    time_in_force: Annotated[Any, _field_meta("GTC, IOC, FOK or GTX; may be empty.", "GTC")] = None
    executed_amount: Annotated[Any, _field_meta("Executed amount so far in the quote coin, a decimal string.", "0")] = (
        None
    )
    executed_avg_price: Annotated[Any, _field_meta("Average executed price, a decimal string.", "0")] = None
    last_executed_qty: Annotated[Any, _field_meta("Quantity of the last execution, a decimal string.", "0")] = None
    last_executed_price: Annotated[Any, _field_meta("Price of the last execution, a decimal string.", "0")] = None
    last_executed_amount: Annotated[Any, _field_meta("Amount of the last execution, a decimal string.", "0")] = None
    fee: Annotated[Any, _field_meta("Fees so far, not negative, a decimal string.", "0")] = None
    fee_coin: Coin = None
    rebate: Annotated[Any, _field_meta("Rebates so far, not negative, a decimal string.", "0")] = None
    rebate_coin: Coin = None
    borrow_amount: Annotated[Any, _field_meta("Amount that a margin order borrowed, a decimal string.", "0")] = None
    borrow_asset: Coin = None
    reason: Annotated[Any, _field_meta("Why it was refused or cancelled; may be empty.", "")] = None
    leverage: Leverage = None
    position_side: Annotated[Any, _field_meta("NONE, LONG or SHORT.", "NONE")] = None
    reduce_only: Annotated[Any, _field_meta("A boolean; in a command it is a string.", False)] = None  # noqa: FBT003
    tp_trigger_price: DecimalString = None
    tp_trigger_type: Trigger = None
    tp_price: DecimalString = None
    sl_trigger_price: DecimalString = None
    sl_trigger_type: Trigger = None
    sl_price: DecimalString = None
    action_msg: Annotated[Any, _field_meta("Why the request in `action` failed; may be empty.", "")] = None
    cancel_type: Annotated[Any, _field_meta("Who cancelled it, such as SYSTEM; may be empty.", "")] = None
    amend_type: FreeText = None


class DocumentedTrade(TradePush, frozen=True, rename="camel"):
    """`Trades`: one execution (LTP docs, User Data Overview)."""

    portfolio_id: Portfolio = None
    business_type: Business = None
    trading_fee: Annotated[
        Any,
        _field_meta("Fee, negative for a rebate, a decimal string; fee and rebate will replace it.", "-0.00089804"),
    ] = None
    trading_fee_coin: Coin = None
    fee: Annotated[Any, _field_meta("Fee, not negative, a decimal string.", "0.01")] = None
    fee_coin: Coin = None
    rebate: Annotated[Any, _field_meta("Rebate, not negative, a decimal string.", "0")] = None
    rebate_coin: Coin = None
    rpnl: Annotated[Any, _field_meta("Realised profit or loss, a decimal string.", "0")] = None
    exec_type: Annotated[Any, _field_meta("MAKER or TAKER.", "MAKER")] = None


class DocumentedAsset(AssetPush, frozen=True, rename="camel"):
    """`Assets`: one coin's balance on one exchange (LTP docs, User Data Overview; REST assets)."""

    portfolio_id: Portfolio = None
    available: Annotated[Any, _field_meta("The free part of the balance, a decimal string.", "950.5")] = None
    debt: DecimalString = None
    borrow: DecimalString = None
    overdraw: DecimalString = None
    virtual_borrow: DecimalString = None
    equity: Annotated[Any, _field_meta("Equity in the coin, may be negative, a decimal string.", "1000.5")] = None
    equity_value: DecimalString = None
    margin_value: DecimalString = None
    index_price: DecimalString = None
    upnl: Annotated[Any, _field_meta("Unrealised profit or loss, a decimal string.", "0")] = None
    debt_margin: DecimalString = None
    perp_margin: DecimalString = None
    max_transferable: DecimalString = None
    loan: Loan = None
    loan_value: Loan = None
    net_equity: Loan = None
    net_equity_value: Loan = None
    net_margin_value: Loan = None
    create_at: Created = None


class DocumentedPosition(PositionPush, frozen=True, rename="camel"):
    """`Positions`: one position (LTP docs, User Data Overview; REST positions)."""

    position_id: Annotated[Any, _field_meta("The venue's id of the position.", "20164589748662850")] = None
    portfolio_id: Portfolio = None
    exchange_type: ExchangeName = None
    position_value: DecimalString = None
    position_margin: DecimalString = None
    position_mm: Annotated[Any, _field_meta("Maintenance margin, a decimal string.", "65")] = field(
        name="positionMM", default=None
    )
    unrealized_pnl: Annotated[Any, _field_meta("Unrealised profit or loss, a decimal string.", "12.4")] = field(
        name="unrealizedPNL", default=None
    )
    unrealized_pnl_rate: Annotated[
        Any, _field_meta("Unrealised profit or loss as a ratio, a decimal string.", "0.01526")
    ] = field(name="unrealizedPNLRate", default=None)
    mark_price: DecimalString = None
    leverage: Leverage = None
    max_leverage: Leverage = None
    risk_level: FreeText = None
    fee: DecimalString = None
    funding_fee: DecimalString = None
    liq_price: Annotated[
        Any, _field_meta("Price of liquidation, a decimal string; null or absent without one.", None)
    ] = None
    create_at: Created = None


class DocumentedMarginCall(MarginCallPush, frozen=True, rename="camel"):
    """`MarginCall`: the risk of one exchange account.

    The venue announces this channel but does not document its fields; the names are those of REST's account risk.
    """

    portfolio_id: Portfolio = None
    equity: DecimalString = None
    maintain_margin: DecimalString = None
    position_value: DecimalString = None
    margin_value: DecimalString = None
    frozen_margin: DecimalString = None
    perp_margin: DecimalString = None
    debt_margin: DecimalString = None
    open_loss_margin: DecimalString = None
    valid_margin: DecimalString = None
    available_margin: DecimalString = None
    perp_available_margin: DecimalString = None
    upnl: DecimalString = None
    net_equity: Loan = None
    net_margin_value: Loan = None
    net_valid_margin: Loan = None
    net_available_margin: Loan = None
    loan_value: Loan = None
    total_loan_value: Loan = None
    uni_mmr: Annotated[
        Any, _field_meta("Margin ratio, a decimal string; 999999 and above without positions.", "1.17")
    ] = field(name="uniMMR", default=None)
    risk_ratio: DecimalString = None
    position_mode: Annotated[Any, _field_meta("NET or BOTH.", "NET")] = None


class DocumentedLiquidation(LiquidationPush, frozen=True, rename="camel"):
    """A step of a liquidation, or one of its orders (LTP docs, Liquidation). Times may be JSON numbers."""

    portfolio_id: Portfolio = None
    exchange_type: ExchangeName = None
    order_id: Annotated[Any, _field_meta("The order of the liquidation.", "1703213979730111")] = None
    position_id: Annotated[Any, _field_meta("The position that is reduced.", "20164589748662850")] = None
    sym: Annotated[Any, _field_meta("The symbol.", "BINANCE_PERP_BTC_USDT")] = None
    position_side: Annotated[Any, _field_meta("LONG, SHORT or NONE.", "NONE")] = None
    reduce_qty: DecimalString = None
    closed_pnl: DecimalString = None
    liq_fee: DecimalString = None
    total_trading_fee: Annotated[Any, _field_meta("A decimal as a string, or null.", None)] = None
