"""The run of the demo: the desk trades, connections are cut, all orders are cancelled, and the readers catch up."""

import asyncio
import contextlib
from collections.abc import Callable

import msgspec

from bridge.contract.topics import Stream
from bridge.errors import BridgeError
from bridge.sandbox.demo.check import find_gaps, find_missing
from bridge.sandbox.demo.desk import TradingDesk
from bridge.sandbox.demo.readers import TopicReader, TopicRecords
from bridge.sandbox.venue.venue import Venue

_FIRST_MARGIN_CALL_S = 1.0
_MARGIN_CALL_PERIOD_S = 15.0
_CUT_PERIOD_S = 5.0
_CUT_SPACING_S = 0.5
_BACK_DEADLINE_S = 60.0
_ANSWERS_DEADLINE_S = 30.0
_CATCH_UP_DEADLINE_S = 30.0
_POLL_S = 0.1


class DemoFailed(BridgeError):
    """The demo failed; the text says why."""


class ConnectionCut(msgspec.Struct, frozen=True):
    """A cut of the venue's connections: the published gap, and the seconds until two events on the topic `session`.

    From the login on, pushes arrive and cancels go out; when the recovery is complete, places and replaces go out too.
    """

    login_s: float
    places_s: float
    gap_id: str


class TradingRun(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a run and its settings. Without `seconds` the desk trades until a stop is requested."""

    venue: Venue
    account: str
    desk: TradingDesk
    topic_records: TopicRecords
    readers: list[TopicReader]
    add_note: Callable[[str], None]
    """Is called with a text at each cut and when the daemon is back after it."""
    seconds: float | None
    rate_per_s: float
    cuts: int

    async def trade(self, stop_requested: asyncio.Event) -> list[ConnectionCut]:
        """Trade until the time is over and every cut is made, or until a stop is requested; return the cuts.

        Raises DemoFailed when the daemon does not come back after a cut.
        """
        made: list[ConnectionCut] = []
        async with asyncio.TaskGroup() as group:
            stop = asyncio.Event()
            trading = group.create_task(self.desk.trade(self.rate_per_s, stop), name="demo:desk")
            calling = group.create_task(self._push_margin_calls(), name="demo:margin calls")
            cutting = group.create_task(self._cut_connections(made), name="demo:cuts")
            stop_wait = group.create_task(stop_requested.wait(), name="demo:stop requested")
            await asyncio.wait({stop_wait}, timeout=self.seconds)
            await asyncio.wait({stop_wait, cutting}, return_when=asyncio.FIRST_COMPLETED)
            stop.set()
            for task in (calling, cutting, stop_wait):
                task.cancel()
            await asyncio.wait({trading, calling, cutting, stop_wait})
        return made

    async def close(self) -> int:
        """Cancel all orders, wait for every answer, and let the readers catch up; each has a deadline.

        Return the number of the ledger's entry up to which the topics must be complete. Other callers may go on.
        """
        open_orders = self.venue.portfolio(self.account).open_orders
        await self.desk.cancel_open_orders(lambda: open_orders, _ANSWERS_DEADLINE_S)
        until = len(self.venue.ledger)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CATCH_UP_DEADLINE_S):
                while self._is_missing(until):  # noqa: ASYNC110 - the ledger, which sets no event
                    await asyncio.sleep(_POLL_S)
                for reader in self.readers:
                    ends = await reader.find_ends()
                    while not await reader.has_read(ends):  # noqa: ASYNC110 - a broker, which sets no event
                        await asyncio.sleep(_POLL_S)
        return until

    def _is_missing(self, until: int) -> bool:
        """Return whether the ledger has pushes up to this entry that are not on the topics."""
        portfolio_id = self.venue.keys[self.account].portfolio_id
        return any(not one.in_gap for one in find_missing(self.venue.ledger, portfolio_id, self.topic_records, until))

    async def _push_margin_calls(self) -> None:
        """Inject margin calls from time to time, so that every kind of push is shown."""
        await asyncio.sleep(_FIRST_MARGIN_CALL_S)
        while True:
            self.venue.inject.margin_call(self.account)
            await asyncio.sleep(_MARGIN_CALL_PERIOD_S)

    async def _cut_connections(self, made: list[ConnectionCut]) -> None:
        """Cut the venue's connections at even intervals, and wait for the next session after each cut."""
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        period_s = self.seconds / (self.cuts + 1) if self.seconds else _CUT_PERIOD_S
        for number in range(1, self.cuts + 1):
            await asyncio.sleep(max(_CUT_SPACING_S, begun_s + number * period_s - loop.time()))
            what = f"cut {number} of {self.cuts}"
            self.add_note(f"{what}: the demo cuts the venue's connections")
            cut_s, begin = loop.time(), len(self.topic_records[Stream.SESSION])
            self.venue.cut_connections(self.account)
            await self._wait_for_event("session.opened", begin, f"{what}: the daemon did not log in again")
            login_s = loop.time() - cut_s
            await self._wait_for_event("recovery.complete", begin, f"{what}: the daemon did not complete the recovery")
            places_s = loop.time() - cut_s
            cut = ConnectionCut(login_s, places_s, find_gaps(self.topic_records[Stream.SESSION])[-1].gap_id)
            made.append(cut)
            self.add_note(f"{what}: login back after {login_s:.2f} s, places after {places_s:.2f} s, gap {cut.gap_id}")

    async def _wait_for_event(self, kind: str, begin: int, failure: str) -> None:
        """Wait for an event of the session behind so many records. Raises DemoFailed after 60 s."""
        session = self.topic_records[Stream.SESSION]

        def is_there() -> bool:
            return any(record.fields.get("type") == kind for record in session[begin:])

        if not await self.topic_records.wait_until(is_there, _BACK_DEADLINE_S):
            raise DemoFailed(f"{failure} within {_BACK_DEADLINE_S:g} s")
