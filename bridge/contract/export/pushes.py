"""Every documented field of the venue's pushes, for the published schemas.

The bridge passes values on byte for byte and reads only what `contract/pushes.py` names. The fields that are added here
are described as the venue documents them, but nothing checks them, so their type is not promised: a new one, or one of
another type, is no reason to hold a fill back. (LTP docs, User Data Overview: Orders, Trades, Assets, Positions;
recorded messages; REST rows where a channel has no table.)
"""

from typing import Annotated, Any

from msgspec import Meta, field

from bridge.contract.pushes import AssetPush, LiquidationPush, MarginCallPush, OrderPush, PositionPush, TradePush


def _field(meaning: str, *examples: str | bool | None) -> Meta:
    return Meta(description=meaning, examples=list(examples))


_AMOUNT = _field("A decimal as a string.", "0.5")
_WORDS = _field("Text; may be empty.", "")

Decimal = Annotated[Any, _AMOUNT]
Portfolio = Annotated[Any, _field("The portfolio that the API key selects.", "1702884522340000")]
ExchangeName = Annotated[Any, _field("BINANCE, OKX or EDX.", "BINANCE")]
Business = Annotated[Any, _field("SPOT, MARGIN or PERP.", "PERP")]
Coin = Annotated[Any, _field("The coin of the amount beside it; may be empty.", "USDT")]
Leverage = Annotated[Any, _field("Leverage, as a string.", "20")]
Words = Annotated[Any, _WORDS]
Trigger = Annotated[Any, _field("LAST_PRICE or MARK_PRICE; may be empty.", "")]
Loan = Annotated[Any, _field("A decimal as a string; there only while something is lent.", "0")]
Created = Annotated[Any, _field("When it came to be at the venue, Unix ms as a string.", "1775010129278")]


class Order(OrderPush, frozen=True, rename="camel"):
    """`Orders`: a full snapshot of one order at every change (LTP docs, User Data Overview)."""

    portfolio_id: Portfolio = None
    exchange_type: ExchangeName = None
    business_type: Business = None
    quote_order_qty: Annotated[Any, _field("Amount in the quote coin, as a decimal string.", "0")] = None
    exchange_order_type: Annotated[Any, _field("LIMIT or MARKET.", "LIMIT")] = None
    order_type: Annotated[
        Any,
        _field(
            "Where it comes from: DMA (a user), REPLACE, SYSTEM, SYSTEM_LIQ, SYSTEM_REDUCE, DELIST, SETTLEMENT.", "DMA"
        ),
    ] = None
    time_in_force: Annotated[Any, _field("GTC, IOC, FOK or GTX; may be empty.", "GTC")] = None
    executed_amount: Annotated[Any, _field("Executed so far in the quote coin, a decimal string.", "0")] = None
    executed_avg_price: Annotated[Any, _field("Average executed price, a decimal string.", "0")] = None
    last_executed_qty: Annotated[Any, _field("Quantity of the last execution, a decimal string.", "0")] = None
    last_executed_price: Annotated[Any, _field("Price of the last execution, a decimal string.", "0")] = None
    last_executed_amount: Annotated[Any, _field("Amount of the last execution, a decimal string.", "0")] = None
    fee: Annotated[Any, _field("Fees so far, not negative, a decimal string.", "0")] = None
    fee_coin: Coin = None
    rebate: Annotated[Any, _field("Rebates so far, not negative, a decimal string.", "0")] = None
    rebate_coin: Coin = None
    borrow_amount: Annotated[Any, _field("What a margin order borrowed, a decimal string.", "0")] = None
    borrow_asset: Coin = None
    reason: Annotated[Any, _field("Why it was refused or cancelled; may be empty.", "")] = None
    leverage: Leverage = None
    position_side: Annotated[Any, _field("NONE, LONG or SHORT.", "NONE")] = None
    reduce_only: Annotated[Any, _field("A boolean here, where a command has a string.", False)] = None  # noqa: FBT003
    tp_trigger_price: Decimal = None
    tp_trigger_type: Trigger = None
    tp_price: Decimal = None
    sl_trigger_price: Decimal = None
    sl_trigger_type: Trigger = None
    sl_price: Decimal = None
    action_msg: Annotated[Any, _field("Why what `action` names failed; may be empty.", "")] = None
    cancel_type: Annotated[Any, _field("Who cancelled it, such as SYSTEM; may be empty.", "")] = None
    amend_type: Words = None


class Trade(TradePush, frozen=True, rename="camel"):
    """`Trades`: one execution (LTP docs, User Data Overview)."""

    portfolio_id: Portfolio = None
    business_type: Business = None
    trading_fee: Annotated[
        Any, _field("Fee, negative for a rebate, a decimal string; to be replaced by fee and rebate.", "-0.00089804")
    ] = None
    trading_fee_coin: Coin = None
    fee: Annotated[Any, _field("Fee, not negative, a decimal string.", "0.01")] = None
    fee_coin: Coin = None
    rebate: Annotated[Any, _field("Rebate, not negative, a decimal string.", "0")] = None
    rebate_coin: Coin = None
    rpnl: Annotated[Any, _field("Realised profit or loss, a decimal string.", "0")] = None
    exec_type: Annotated[Any, _field("MAKER or TAKER.", "MAKER")] = None


class Asset(AssetPush, frozen=True, rename="camel"):
    """`Assets`: one coin's balance on one exchange (LTP docs, User Data Overview; REST assets)."""

    portfolio_id: Portfolio = None
    available: Annotated[Any, _field("Of the balance what is free, a decimal string.", "950.5")] = None
    debt: Decimal = None
    borrow: Decimal = None
    overdraw: Decimal = None
    virtual_borrow: Decimal = None
    equity: Annotated[Any, _field("Equity in the coin, may be negative, a decimal string.", "1000.5")] = None
    equity_value: Decimal = None
    margin_value: Decimal = None
    index_price: Decimal = None
    upnl: Annotated[Any, _field("Unrealised profit or loss, a decimal string.", "0")] = None
    debt_margin: Decimal = None
    perp_margin: Decimal = None
    max_transferable: Decimal = None
    loan: Loan = None
    loan_value: Loan = None
    net_equity: Loan = None
    net_equity_value: Loan = None
    net_margin_value: Loan = None
    create_at: Created = None


class Position(PositionPush, frozen=True, rename="camel"):
    """`Positions`: one position (LTP docs, User Data Overview; REST positions)."""

    position_id: Annotated[Any, _field("The venue's id of the position.", "20164589748662850")] = None
    portfolio_id: Portfolio = None
    exchange_type: ExchangeName = None
    position_value: Decimal = None
    position_margin: Decimal = None
    position_mm: Annotated[Any, _field("Maintenance margin, a decimal string.", "65")] = field(
        name="positionMM", default=None
    )
    unrealized_pnl: Annotated[Any, _field("Unrealised profit or loss, a decimal string.", "12.4")] = field(
        name="unrealizedPNL", default=None
    )
    unrealized_pnl_rate: Annotated[Any, _field("The same as a share, a decimal string.", "0.01526")] = field(
        name="unrealizedPNLRate", default=None
    )
    mark_price: Decimal = None
    leverage: Leverage = None
    max_leverage: Leverage = None
    risk_level: Words = None
    fee: Decimal = None
    funding_fee: Decimal = None
    liq_price: Annotated[Any, _field("Price of liquidation, a decimal string; null or absent without one.", None)] = (
        None
    )
    create_at: Created = None


class MarginCall(MarginCallPush, frozen=True, rename="camel"):
    """`MarginCall`: the risk of one exchange account.

    The venue announces the channel and publishes no table of it; the names are those of the account's risk in REST.
    """

    portfolio_id: Portfolio = None
    equity: Decimal = None
    maintain_margin: Decimal = None
    position_value: Decimal = None
    margin_value: Decimal = None
    frozen_margin: Decimal = None
    perp_margin: Decimal = None
    debt_margin: Decimal = None
    open_loss_margin: Decimal = None
    valid_margin: Decimal = None
    available_margin: Decimal = None
    perp_available_margin: Decimal = None
    upnl: Decimal = None
    net_equity: Loan = None
    net_margin_value: Loan = None
    net_valid_margin: Loan = None
    net_available_margin: Loan = None
    loan_value: Loan = None
    total_loan_value: Loan = None
    uni_mmr: Annotated[Any, _field("Margin ratio, a decimal string; 999999 and above without positions.", "1.17")] = (
        field(name="uniMMR", default=None)
    )
    risk_ratio: Decimal = None
    position_mode: Annotated[Any, _field("NET or BOTH.", "NET")] = None


class Liquidation(LiquidationPush, frozen=True, rename="camel"):
    """A step of a liquidation, or one of its orders (LTP docs, Liquidation). Times may be JSON numbers."""

    portfolio_id: Portfolio = None
    exchange_type: ExchangeName = None
    order_id: Annotated[Any, _field("The order of the liquidation.", "1703213979730111")] = None
    position_id: Annotated[Any, _field("The position that is reduced.", "20164589748662850")] = None
    sym: Annotated[Any, _field("The symbol.", "BINANCE_PERP_BTC_USDT")] = None
    position_side: Annotated[Any, _field("LONG, SHORT or NONE.", "NONE")] = None
    reduce_qty: Decimal = None
    closed_pnl: Decimal = None
    liq_fee: Decimal = None
    total_trading_fee: Annotated[Any, _field("A decimal as a string, or null.", None)] = None
