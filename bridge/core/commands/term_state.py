"""What the parts of one account share during one term of ownership."""

from msgspec import Struct

from bridge.core.clocks import Clocks
from bridge.core.commands.claims import Claims
from bridge.core.commands.command_table import CommandTable
from bridge.core.commands.dedupe_index import DedupeIndex
from bridge.core.commands.rate_limits import RateLimits
from bridge.core.orders import Orders
from bridge.core.outbox import Outbox


class TermState(Struct, frozen=True):
    """The state of one account in one term: each of these is made once, and read and changed by several parts."""

    epoch: int
    outbox: Outbox
    table: CommandTable
    index: DedupeIndex
    claims: Claims
    rate_limits: RateLimits
    orders: Orders
    clocks: Clocks
