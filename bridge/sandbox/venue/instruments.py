"""What can be traded here, with the rules of each symbol (LTP docs, Get Symbol Information)."""

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
    # What a new portfolio is given, and what the venue calls safe; spot and margin say 1.
    default_leverage: int = 5
    safe_leverage: int = 10
    maintenance_rate: Decimal = Decimal("0.005")
    # The synthetic market: what one price level offers, and how far one step may move, in ticks.
    level_qty: Decimal
    step_ticks_max: int
    # Taken from the symbol once, because every order and push reads them.
    exchange: str = ""
    business: str = ""
    base: str = ""
    quote: str = ""

    def __post_init__(self) -> None:
        for name, part in zip(("exchange", "business", "base", "quote"), self.sym.split("_"), strict=True):
            msgspec.structs.force_setattr(self, name, part)

    @property
    def is_perp(self) -> bool:
        """Tell whether the symbol is held as a position rather than as coins."""
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


def _btc(sym: str) -> Instrument:
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


def _eth(sym: str) -> Instrument:
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


def _eth_contracts(sym: str) -> Instrument:
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
    _btc("BINANCE_PERP_BTC_USDT"),
    _btc("BINANCE_SPOT_BTC_USDT"),
    _btc("BINANCE_MARGIN_BTC_USDT"),
    _eth("BINANCE_PERP_ETH_USDT"),
    _eth("BINANCE_SPOT_ETH_USDT"),
    _eth("BINANCE_MARGIN_ETH_USDT"),
    _eth_contracts("OKX_PERP_ETH_USDT"),
    _btc("OKX_SPOT_BTC_USDT"),
    _eth("OKX_SPOT_ETH_USDT"),
    _eth("OKX_MARGIN_ETH_USDT"),
    _eth("EDX_PERP_ETH_USDT"),
)
