"""What REST tells of accounts and symbols to show to people; no decision is drawn from it."""

from msgspec import Struct, field

Amount = str | int | float | None
"""An amount to show, never to calculate with: a decimal string, but some of the vendor's fixtures have numbers."""


class AccountRisk(Struct, frozen=True, rename="camel"):
    """The state of one exchange account (LTP docs, Query Account)."""

    exchange_type: str
    account_status: str | None = None
    equity: Amount = None
    available_margin: Amount = None
    uni_mmr: Amount = field(name="uniMMR", default=None)
    position_mode: str | None = None
    portfolio_id: str | int | None = None


class SymbolRules(Struct, frozen=True, rename="camel"):
    """What the venue asks of orders for one symbol (LTP docs, Get Symbol Information): what a desk cannot do without.

    `state` is `live` while the symbol is traded.
    """

    tick_size: str | int | float
    lot_size: str | int | float
    state: str | None = None
