"""Reads an account's topics for what earlier owners published there."""

import asyncio
from collections.abc import Callable, Collection, Sequence

from bridge.contract.topics import STATE_STREAMS, TAKEOVER_STREAMS, Stream, topic_name
from bridge.core.commands.claims import Origin
from bridge.core.late_records import LateRecordFilter, NewestRecords
from bridge.core.records import TopicRecord
from bridge.core.replay import (
    ReplayedResults,
    ReplayedSession,
    ReplayedStates,
    TopicEnd,
    find_portfolios,
)
from bridge.core.takeover_plan import TopicHistory
from bridge.flow.concurrency import run_concurrently
from bridge.flow.ports import ReadLast, ReadTail

RememberState = Callable[[bytes, int, bool], None]
"""Takes a value, when it was published (Unix ms), and whether it came from REST instead of a push."""
_AT_A_TIME = 200
"""After so many states, other tasks have their turn."""


class TopicReplay:
    """The topics of one account, read from a point in time to their end."""

    def __init__(self, prefix: str, name: str, read_tail: ReadTail, read_last: ReadLast) -> None:
        self._prefix = prefix
        self._name = name
        self._read_tail = read_tail
        self._read_last = read_last

    async def read(self, stream: Stream, since_ms: int, take: Callable[[Sequence[TopicRecord]], None]) -> None:
        """Call `take` with the records of a stream since `since_ms`, all with 0, a small part at a time."""
        await self._read_tail(topic_name(self._prefix, self._name, stream), max(since_ms, 0), take)

    async def read_states(
        self,
        stream: Stream,
        since_ms: int,
        remember: RememberState,
        forget: Callable[[bytes], None],
    ) -> Collection[bytes]:
        """Call `remember` with the newest states of a state topic: each was published within one horizon.

        A state may be followed by a newer one of its key, or by a call of `forget` with the key. Return the keys under
        which a record came late.
        """
        states = ReplayedStates()

        def take(records: Sequence[TopicRecord]) -> None:
            states.read_records(records)
            for key in states.ended:
                forget(key)
            states.ended.clear()
            for state in states.pop_oldest():
                remember(*state)

        await self.read(stream, since_ms, take)
        for count, state in enumerate(states.pop_all(), 1):
            remember(*state)
            if count % _AT_A_TIME == 0:
                await asyncio.sleep(0)
        return states.late_keys

    async def read_overtaken(self, stream: Stream, since_ms: int, keys: Collection[bytes]) -> list[TopicRecord]:
        """Return, of some keys, the newest record of each where an older one stands behind it."""
        if not keys:
            return []
        newest = NewestRecords(keys)
        await self.read(stream, since_ms, newest.read_records)
        return list(newest.find_overtaken())

    async def read_overtaken_since(self, stream: Stream, since_ms: int) -> list[TopicRecord]:
        """Return the newest record of every key, or the end of every gap, that an older one stands behind."""
        if stream is Stream.SESSION:
            return list((await self.read_session(since_ms)).overtaken_closings)
        in_order = LateRecordFilter()
        await self.read(stream, since_ms, in_order.read_records)
        return await self.read_overtaken(stream, since_ms, in_order.late_keys)

    async def read_session(self, since_ms: int) -> ReplayedSession:
        """Return what earlier owners published about their sessions and gaps."""
        session = ReplayedSession()
        await self.read(Stream.SESSION, since_ms, session.read_records)
        return session

    async def read_owner_on_results(self) -> Origin | None:
        """Return the origin that the last owner announced on `results`; None without one."""
        results = ReplayedResults()
        await self.read(Stream.RESULTS, 0, lambda records: _ignore(results.read_results(records)))
        return results.owner

    async def read_remains(self) -> TopicHistory:
        """Return what is known of earlier owners by all topics together."""
        ends = await run_concurrently(*(self._read_end(stream) for stream in TAKEOVER_STREAMS))
        if not any(was_written for _, was_written in ends):
            return TopicHistory((), was_written=False)
        session = await self.read_session(0)
        return TopicHistory(
            tuple(end for end, _ in ends),
            was_written=True,
            last_login_ms=session.last_login_ms,
            owner=await self.read_owner_on_results(),
        )

    async def _read_end(self, stream: Stream) -> tuple[TopicEnd, bool]:
        end = TopicEnd()
        end_offset = await self._read_last(topic_name(self._prefix, self._name, stream), end.add_records)
        return end, end_offset > 0

    async def read_portfolios(self) -> frozenset[str]:
        """Return the portfolios at the venue that the state topics name."""
        found: set[str] = set()
        for stream in sorted(STATE_STREAMS):
            await self.read_states(stream, 0, lambda value, *_: found.update(find_portfolios([value])), _ignore)
        return frozenset(found)


def _ignore(_: object) -> None:
    """Do nothing with it."""
