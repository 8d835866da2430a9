"""The symbols that the venue trades, with the rules of each (LTP docs, Get Symbol Information)."""

from decimal import Decimal

import msgspec

EXCHANGES = ("BINANCE", "OKX", "EDX")
BUSINESSES = ("SPOT", "MARGIN", "PERP")


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """One symbol. Quantities are in base coin, on OKX perpetuals in contracts of `contract_size` base coin."""

    sym: str
    start_price: Decimal
    tick_size: Decimal
    lot_size: Decimal
    price_precision: int
    qty_precision: int
    min_size: Decimal
    min_notional: Decimal
    max_limit_size: Decimal
    max_market_size: Decimal
    contract_size: Decimal = Decimal(1)
    open_orders_max: int = 10_000
    leverage_max: int = 20
    # The values of a symbol's REST row; for spot and margin both are 1.
    default_leverage: int = 5
    safe_leverage: int = 10
    maintenance_rate: Decimal = Decimal("0.005")
    # The synthetic market: what one price level offers, and how far one step may move, in ticks.
    level_qty: Decimal
    step_ticks_max: int
    # The parts of the symbol, split once because every order and push needs them.
    exchange: str = ""
    business: str = ""
    base: str = ""
    quote: str = ""

    def __post_init__(self) -> None:
        for name, part in zip(("exchange", "business", "base", "quote"), self.sym.split("_"), strict=True):
            msgspec.structs.force_setattr(self, name, part)

    @property
    def is_perp(self) -> bool:
        """Return whether the symbol is held as a position, not as coins."""
        return self.business == "PERP"

    @property
    def original_symbol(self) -> str:
        """The exchange's own name of the symbol (LTP docs, Get Symbol Information)."""
        if self.exchange != "OKX":
            return f"{self.base}{self.quote}"
        return f"{self.base}-{self.quote}" + ("-SWAP" if self.is_perp else "")

    def notional(self, qty: Decimal, price: Decimal) -> Decimal:
        """Return the quote amount of a quantity."""
        return qty * self.contract_size * price


def _btc_instrument(sym: str) -> Instrument:
    return Instrument(
        sym=sym,
        start_price=Decimal(65000),
        tick_size=Decimal("0.1"),
        lot_size=Decimal("0.001"),
        price_precision=2,
        qty_precision=4,
        min_size=Decimal("0.001"),
        min_notional=Decimal(50),
        max_limit_size=Decimal(1000),
        max_market_size=Decimal(120),
        level_qty=Decimal("0.5"),
        step_ticks_max=100,
    )


def _eth_instrument(sym: str) -> Instrument:
    return Instrument(
        sym=sym,
        start_price=Decimal(2600),
        tick_size=Decimal("0.01"),
        lot_size=Decimal("0.001"),
        price_precision=3,
        qty_precision=4,
        min_size=Decimal("0.001"),
        min_notional=Decimal(20),
        max_limit_size=Decimal(10000),
        max_market_size=Decimal(2000),
        level_qty=Decimal(5),
        step_ticks_max=60,
    )


def _eth_contract_instrument(sym: str) -> Instrument:
    return Instrument(
        sym=sym,
        start_price=Decimal(2600),
        tick_size=Decimal("0.01"),
        lot_size=Decimal("0.01"),
        price_precision=3,
        qty_precision=3,
        min_size=Decimal("0.01"),
        min_notional=Decimal(5),
        max_limit_size=Decimal(100000),
        max_market_size=Decimal(20000),
        contract_size=Decimal("0.1"),
        level_qty=Decimal(50),
        step_ticks_max=60,
    )


CATALOGUE: tuple[Instrument, ...] = (
    _btc_instrument("BINANCE_PERP_BTC_USDT"),
    _btc_instrument("BINANCE_SPOT_BTC_USDT"),
    _btc_instrument("BINANCE_MARGIN_BTC_USDT"),
    _eth_instrument("BINANCE_PERP_ETH_USDT"),
    _eth_instrument("BINANCE_SPOT_ETH_USDT"),
    _eth_instrument("BINANCE_MARGIN_ETH_USDT"),
    _eth_contract_instrument("OKX_PERP_ETH_USDT"),
    _btc_instrument("OKX_SPOT_BTC_USDT"),
    _eth_instrument("OKX_SPOT_ETH_USDT"),
    _eth_instrument("OKX_MARGIN_ETH_USDT"),
    _eth_instrument("EDX_PERP_ETH_USDT"),
)
