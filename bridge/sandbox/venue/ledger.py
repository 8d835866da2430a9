"""The venue's record of everything it receives and does. Tests and the demo compare the bridge with it."""

import asyncio
import itertools
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from typing import IO, Any

import msgspec

from bridge.sandbox.venue.clock import Clock


class EntryKind(StrEnum):
    """The kinds of entries, with the names of their facts."""

    CONN = "CONN"  # a socket was opened: tier
    DROP = "DROP"  # a socket ended: reason
    LOGIN = "LOGIN"  # a login was decided: api_key, code, only_trade
    RECV = "RECV"  # a frame arrived: text
    PING = "PING"  # a heartbeat: style ("json", "text", "protocol", "protocol_pong"), from_venue
    COUNT = "COUNT"  # a request took a slot: action, api_key, in_window, limit
    LIMITED = "LIMITED"  # a request was over its limit: action, api_key, in_window, limit
    VERDICT = "VERDICT"  # an action or login was decided: action, request_id, code, order_id, client_order_id
    ANSWER = "ANSWER"  # an answer was handed to socket or HTTP response: text, of REST status, hidden (changes it lags)
    EVENT = "EVENT"  # a push was made; it is in `event`
    DELIVER = "DELIVER"  # a push was handed to one socket: event_number
    REST = "REST"  # a request arrived: method, path, parameters
    FAULT = "FAULT"  # a scripted fault was triggered: fault, number, and its target


class VenuePush(msgspec.Struct, frozen=True, kw_only=True):
    """One push: its bytes, and its names."""

    portfolio_id: str
    channel: str
    # The key of the state: orderId, exchangeType:coin, sym:positionSide, exchangeType.
    key: str
    # The identity of the fact: of a trade its exchange, symbol, orderId and transactionId.
    identity: str
    payload: bytes
    frame: bytes


class LedgerEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the ledger; `number` counts from 1, `connection` is 0 for an entry without a socket."""

    number: int
    wall_ms: int
    monotonic_s: float
    kind: EntryKind
    portfolio_id: str = ""
    connection: int = 0
    facts: dict[str, Any] = {}
    event: VenuePush | None = None


class Ledger:
    """An append-only list of entries in memory, without a size limit."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: list[LedgerEntry] = []
        self._by_kind: dict[EntryKind, list[LedgerEntry]] = defaultdict(list)
        self._last_states: dict[tuple[str, str], dict[str, VenuePush]] = defaultdict(dict)
        self._by_channel: dict[tuple[str, str], list[VenuePush]] = defaultdict(list)
        self._waiting: set[asyncio.Event] = set()
        self._followers: list[IO[str]] = []

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[LedgerEntry]:
        return iter(self._entries)

    def write(self, kind: EntryKind, *, portfolio_id: str = "", connection: int = 0, **facts: object) -> LedgerEntry:
        """Append an entry with the time of the venue's clocks, and return it."""
        return self._append_entry(kind, portfolio_id, connection, facts, None)

    def write_event(self, event: VenuePush) -> LedgerEntry:
        """Append a push, which is not sent yet, and return its entry."""
        self._last_states[event.channel, event.portfolio_id][event.key] = event
        self._by_channel[event.channel, event.portfolio_id].append(event)
        return self._append_entry(EntryKind.EVENT, event.portfolio_id, 0, {}, event)

    def _append_entry(
        self, kind: EntryKind, portfolio_id: str, connection: int, facts: dict[str, object], event: VenuePush | None
    ) -> LedgerEntry:
        entry = LedgerEntry(
            number=len(self._entries) + 1,
            wall_ms=self._clock.wall_ms(),
            monotonic_s=self._clock.monotonic_s(),
            kind=kind,
            portfolio_id=portfolio_id,
            connection=connection,
            facts=facts,
            event=event,
        )
        self._entries.append(entry)
        self._by_kind[kind].append(entry)
        for waiter in self._waiting:
            waiter.set()
        for out in self._followers:
            _write_line(entry, out)
            out.flush()
        return entry

    def entries(self, *kinds: EntryKind, portfolio_id: str = "", connection: int = 0) -> list[LedgerEntry]:
        """Return the entries of these kinds (by default of all), in order, of one portfolio or connection if given."""
        if len(kinds) == 1:
            source: Iterable[LedgerEntry] = self._by_kind[kinds[0]]
        else:
            source = (entry for entry in self._entries if not kinds or entry.kind in kinds)
        return [
            entry
            for entry in source
            if (not portfolio_id or entry.portfolio_id == portfolio_id)
            and (not connection or entry.connection == connection)
        ]

    def events(self, channel: str, portfolio_id: str) -> list[VenuePush]:
        """Return every push of a channel, in order."""
        return list(self._by_channel[channel, portfolio_id])

    def trades(self, portfolio_id: str) -> list[VenuePush]:
        """Return every execution, one per identity."""
        return list({event.identity: event for event in self._by_channel["Trades", portfolio_id]}.values())

    def last_states(self, channel: str, portfolio_id: str) -> dict[str, VenuePush]:
        """Return the last push of each key of a state channel (Orders, Assets, Positions, MarginCall)."""
        return dict(self._last_states[channel, portfolio_id])

    def requests_received(self, action: str, portfolio_id: str) -> list[LedgerEntry]:
        """Return each request of an action that was counted, within its limit or over it."""
        return [
            entry
            for entry in self.entries(EntryKind.COUNT, EntryKind.LIMITED, portfolio_id=portfolio_id)
            if entry.facts["action"] == action
        ]

    def busiest_window(self, action: str, portfolio_id: str, window_s: float = 60.0) -> int:
        """Return the largest number of requests of an action in any window of `window_s`, refused ones included."""
        window: deque[float] = deque()
        most = 0
        for entry in self.requests_received(action, portfolio_id):
            window.append(entry.monotonic_s)
            while entry.monotonic_s - window[0] >= window_s:
                window.popleft()
            most = max(most, len(window))
        return most

    def login_gaps_s(self, api_key: str) -> list[float]:
        """Return the seconds between one login attempt of a key and the next."""
        times = [e.monotonic_s for e in self._by_kind[EntryKind.LOGIN] if e.facts["api_key"] == api_key]
        return [later - earlier for earlier, later in itertools.pairwise(times)]

    async def wait_until(self, holds: Callable[[], bool], deadline_s: float = 5.0) -> None:
        """Wait until a condition on the ledger holds. Raises TimeoutError at the deadline."""
        waiter = asyncio.Event()
        self._waiting.add(waiter)
        try:
            async with asyncio.timeout(deadline_s):
                while not holds():
                    waiter.clear()
                    await waiter.wait()
        finally:
            self._waiting.discard(waiter)

    def export(self, out: IO[str]) -> None:
        """Write the ledger as JSON lines, with the bytes of a push as text."""
        for entry in self._entries:
            _write_line(entry, out)

    def follow(self, out: IO[str]) -> None:
        """Write the ledger as JSON lines, and from now on every entry as soon as it is appended."""
        self.export(out)
        out.flush()
        self._followers.append(out)


def _write_line(entry: LedgerEntry, out: IO[str]) -> None:
    out.write(msgspec.json.encode(_as_json(entry)).decode() + "\n")


def _as_json(entry: LedgerEntry) -> dict[str, object]:
    line: dict[str, object] = {
        "number": entry.number,
        "wall_ms": entry.wall_ms,
        "monotonic_s": entry.monotonic_s,
        "kind": entry.kind,
        "portfolio_id": entry.portfolio_id,
        "connection": entry.connection,
        **({"facts": entry.facts} if entry.facts else {}),
    }
    if entry.event is not None:
        line["event"] = {
            "channel": entry.event.channel,
            "key": entry.event.key,
            "identity": entry.event.identity,
            "payload": entry.event.payload.decode("utf-8", "replace"),
        }
    return line
