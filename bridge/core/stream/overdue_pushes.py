"""Orders that the venue has accepted and not pushed: asked for one by one, and the push is wanted all the same."""

from collections.abc import Callable, Iterable
from typing import Final

from bridge.contract.topics import Stream
from bridge.core.clocks import Clocks
from bridge.core.now import Now
from bridge.core.orders import Orders
from bridge.core.records import OutgoingRecord
from bridge.core.stream.published_states import Comparison, PublishedStates
from bridge.core.stream.route import Router
from bridge.core.stream.venue_record import PARSERS

_OVERDUE_MS: Final = 3000
"""An accepted order shows itself within so long, or is asked for."""
_AT_ONCE: Final = 10


class OverduePushes:
    """The acked orders of one account whose push is overdue."""

    def __init__(
        self,
        orders: Orders,
        standing: PublishedStates,
        router: Router,
        publish: Callable[[Iterable[OutgoingRecord]], None],
        clocks: Clocks,
    ) -> None:
        self._orders = orders
        self._states = standing
        self._router = router
        self._publish = publish
        self._clocks = clocks
        self._venue = clocks.venue
        self._asked_ms: dict[str, int] = {}
        """Orders that REST has told instead, and the venue's time of that."""

    def logged_in(self) -> None:
        """Begin anew with a session: what was not pushed before it is in a gap."""
        self._asked_ms.clear()

    def pop_overdue(self, now: Now) -> list[str]:
        """Return some orders to ask for; each once."""
        return self._orders.pop_unpushed(self._venue.read_at(now.boot_s).earliest - _OVERDUE_MS, _AT_ONCE)

    def publish_row(self, row: bytes, now: Now) -> None:
        """Publish what REST tells of an order, unless its push has come meanwhile."""
        element = PARSERS[Stream.ORDERS](row).without_later_time(self._clocks.latest_date_ms(now))
        if self._states.compare(element) is Comparison.NEWER:
            self._publish(self._router.records_of(element, now, recovered=True))
            self._asked_ms[element.key] = self._venue.read_at(now.boot_s).latest

    def find_still_unpushed(self, told_until_ms: int) -> set[str]:
        """Name what was asked for before a time of the venue's, and not pushed since."""
        self._asked_ms = {key: ms for key, ms in self._asked_ms.items() if self._states.is_recovered(key)}
        return {f"a push of {key}" for key, asked_ms in self._asked_ms.items() if asked_ms <= told_until_ms}
