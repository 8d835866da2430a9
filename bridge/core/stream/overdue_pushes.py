"""Orders that the venue has acked and not pushed: REST is asked for each, and its push must come all the same."""

from typing import Final

from bridge.contract.topics import Stream
from bridge.core.clocks import Clocks
from bridge.core.now import Now
from bridge.core.orders import Orders
from bridge.core.outbox import Outbox
from bridge.core.stream.published_states import Comparison
from bridge.core.stream.route import Router
from bridge.core.stream.venue_record import PARSERS

_OVERDUE_MS: Final = 3000
"""An acked order is pushed within so long, or REST is asked for it."""
_AT_ONCE: Final = 10


class OverduePushes:
    """The acked orders of one account whose push is overdue."""

    def __init__(self, router: Router, orders: Orders, clocks: Clocks, outbox: Outbox) -> None:
        self._router = router
        self._orders = orders
        self._clocks = clocks
        self._outbox = outbox
        self._published_ms: dict[str, int] = {}
        """When, by the venue's clock, the rows of orders were published in place of their pushes."""

    def logged_in(self) -> None:
        """Start anew with a session: an order that was not pushed before the login is in a gap."""
        self._published_ms.clear()

    def pop_overdue(self, now: Now) -> list[str]:
        """Return some orders that REST is to be asked for; each once."""
        return self._orders.pop_unpushed(self._clocks.venue.read_at(now.boot_s).earliest - _OVERDUE_MS, _AT_ONCE)

    def publish_row(self, row: bytes, now: Now) -> None:
        """Publish REST's row of an order, unless the order was pushed meanwhile."""
        record = PARSERS[Stream.ORDERS](row).without_later_time(self._clocks.latest_date_ms(now))
        if self._router.states.compare(record) is Comparison.NEWER:
            self._outbox.publish_all(self._router.records_of(record, now, recovered=True))
            self._published_ms[record.key] = self._clocks.venue.read_at(now.boot_s).latest

    def find_still_unpushed(self, until_ms: int) -> set[str]:
        """Return names of the pushes that have not come for rows which were published until a time of the venue's."""
        is_recovered = self._router.states.is_recovered
        self._published_ms = {key: at_ms for key, at_ms in self._published_ms.items() if is_recovered(key)}
        return {f"a push of {key}" for key, at_ms in self._published_ms.items() if at_ms <= until_ms}
