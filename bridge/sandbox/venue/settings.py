"""The settings of a sandbox venue: addresses, accounts, market, rate limits and dialect."""

import hashlib
from decimal import Decimal
from typing import Literal

import msgspec

from bridge.sandbox.venue.dialects import Dialect
from bridge.sandbox.venue.instruments import CATALOGUE, Instrument


class RequestLimit(msgspec.Struct, frozen=True):
    """At most `count` requests in any `window_s` seconds."""

    count: int
    window_s: float


_MINUTE = 60.0
_TEN_SECONDS = 10.0

# LTP docs, User Data Overview (WebSocket) and the pages of each REST endpoint. POST, PUT and DELETE of an order count
# with the WebSocket action of the same meaning: whether they do is undocumented, so the stricter reading is used.
DOCUMENTED_LIMITS: dict[str, RequestLimit] = {
    "login": RequestLimit(1, 1.0),
    "place_order": RequestLimit(1200, _MINUTE),
    "replace_order": RequestLimit(300, _MINUTE),
    "cancel_order": RequestLimit(1200, _MINUTE),
    "cancel_orders": RequestLimit(1200, _MINUTE),
    "rest_cancel_all": RequestLimit(50, _TEN_SECONDS),
    "rest_order": RequestLimit(1200, _MINUTE),
    "rest_open_orders": RequestLimit(1200, _MINUTE),
    "rest_history_orders": RequestLimit(30, _TEN_SECONDS),
    "rest_archive_orders": RequestLimit(30, _TEN_SECONDS),
    "rest_executions": RequestLimit(5, _TEN_SECONDS),
    "rest_position": RequestLimit(300, _MINUTE),
    "rest_account": RequestLimit(2, 1.0),
    "rest_assets": RequestLimit(20, 1.0),
    "rest_symbols": RequestLimit(3, _TEN_SECONDS),
}


def _default_balances() -> dict[str, dict[str, Decimal]]:
    return {
        # As many places as the venue's own samples have: a client that reads them as a float loses digits.
        "BINANCE": {"USDT": Decimal("1000000.970877268901446313"), "BTC": Decimal(10), "ETH": Decimal(200)},
        "OKX": {"USDT": Decimal(1_000_000), "BTC": Decimal(10), "ETH": Decimal(200)},
        "EDX": {"USDT": Decimal(1_000_000)},
    }


class AccountSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One portfolio and its key; key and secret are derived from name and seed when left empty."""

    name: str = "main"
    api_key: str = ""
    api_secret: str = ""
    balances: dict[str, dict[str, Decimal]] = msgspec.field(default_factory=_default_balances)
    position_mode: Literal["NET", "BOTH"] = "NET"
    leverage: int = 10

    def __repr__(self) -> str:
        return f"AccountSettings(name={self.name!r}, position_mode={self.position_mode!r})"


class VenueSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a venue. Port 0 lets the system choose."""

    host: str = "127.0.0.1"
    ws_port: int = 0
    rest_port: int = 0
    # Each name is one pair of listeners over the same backend, like LTP's AZ4 and HA; the ports above are the first's.
    tiers: tuple[str, ...] = ("az4",)
    accounts: tuple[AccountSettings, ...] = (AccountSettings(),)
    instruments: tuple[Instrument, ...] = CATALOGUE
    seed: int = 1
    # The time between price moves; with 0 the caller moves prices.
    step_period_s: float = 0.0
    limits: dict[str, RequestLimit] = msgspec.field(default_factory=lambda: dict(DOCUMENTED_LIMITS))
    dialect: Dialect = Dialect()
    inactivity_s: float = 30.0
    protocol_ping_after_s: float = 0.05
    clock_tolerance_s: int = 60
    taker_fee_rate: Decimal = Decimal("0.0005")
    maker_fee_rate: Decimal = Decimal("-0.0001")
    # A resting order that a price reaches gets at most so many lots per step, so large ones fill in parts.
    passing_lots_max: int = 20
    # Cancels and replaces take effect so many steps after their ack; with more than 0 a fill can come before.
    cancel_steps: int = 0
    amend_steps: int = 0
    # A limit price further from the market than this share is refused (401128); 0 switches the band off.
    price_band_share: Decimal = Decimal(0)
    margin_call_ratio: Decimal = Decimal("0.8")
    liquidation_ratio: Decimal = Decimal(1)
    frame_bytes_max: int = 1 << 20

    def derived(self, purpose: str, name: str) -> str:
        """Return hex text that depends on the seed and a name only, so that a test knows the keys."""
        return hashlib.sha256(f"{self.seed}:{purpose}:{name}".encode()).hexdigest()
