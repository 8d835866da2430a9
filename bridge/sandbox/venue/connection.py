"""The venue's side of one WebSocket: an ordered outbox, and the scripted faults that meet its pushes."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from aiohttp import WSMsgType, web

from bridge.sandbox.venue.faults import FaultKind, FaultScript, FaultTarget
from bridge.sandbox.venue.ledger import EntryKind, Ledger, LedgerEntry, VenuePush

if TYPE_CHECKING:
    from bridge.sandbox.venue.keys import ApiKey

_SWAP_WAIT_S = 0.2


class _Frame(NamedTuple):
    payload: bytes
    kind: EntryKind
    facts: dict[str, object]
    message_type: WSMsgType = WSMsgType.TEXT


class ClientConnection:
    """One WebSocket of a client. Every frame goes through the outbox, so frames leave in the order they were queued."""

    def __init__(
        self,
        socket: web.WebSocketResponse,
        transport: asyncio.Transport,
        *,
        number: int,
        tier: str,
        ledger: Ledger,
        faults: FaultScript,
    ) -> None:
        self.number = number
        self.tier = tier
        self.key: ApiKey | None = None
        self.only_trade = False
        self.is_closed = False
        # Why the venue ended the connection; empty when the client did.
        self.close_reason = ""
        self.socket = socket
        self._transport = transport
        self._ledger = ledger
        self._faults = faults
        self._outbox: asyncio.Queue[_Frame] = asyncio.Queue()
        self._reading = asyncio.Event()
        self._reading.set()
        self._deferred: list[Callable[[], None]] = []
        self._swapped: list[tuple[VenuePush, int]] = []
        self._timers: set[asyncio.TimerHandle] = set()
        self._loop = asyncio.get_running_loop()
        self.last_client_frame_s = self.last_venue_frame_s = self._loop.time()

    @property
    def portfolio_id(self) -> str:
        """The portfolio of the key that logged in; empty before."""
        return self.key.portfolio_id if self.key else ""

    def target(self, *, action: str = "", channel: str = "", arguments: str = "") -> FaultTarget:
        """Return the target by which faults are matched on this connection."""
        return FaultTarget(
            action=action,
            channel=channel,
            account=self.key.name if self.key else "",
            tier=self.tier,
            connection=self.number,
            arguments=arguments,
        )

    def send_answer(self, payload: bytes) -> None:
        """Send an answer."""
        self._enqueue(_Frame(payload, EntryKind.ANSWER, {"text": payload.decode("utf-8", "replace")}))

    def send_heartbeat(self, payload: bytes, style: str, message_type: WSMsgType = WSMsgType.TEXT) -> None:
        """Send a heartbeat, or the answer to one."""
        self._enqueue(_Frame(payload, EntryKind.PING, {"style": style, "from_venue": True}, message_type))

    def send_push(self, entry: LedgerEntry) -> None:
        """Send a push, unless a fault drops it; faults may also delay, repeat, reorder or enlarge it."""
        push = entry.event
        if push is None or self.only_trade or self.is_closed:
            return
        target = self.target(channel=push.channel)
        if self._faults.trigger(FaultKind.MUTE_PUSH, target):
            return
        swollen = self._faults.trigger(FaultKind.SWELL_PUSH, target)
        if swollen:
            push = msgspec.structs.replace(push, frame=push.frame.ljust(swollen.fault.limit))
        doubled = self._faults.trigger(FaultKind.DUPLICATE_PUSH, target)
        copies = doubled.fault.copies if doubled else 1
        delayed = self._faults.trigger(FaultKind.DELAY_PUSH, target)
        if delayed:
            self.call_later(delayed.fault.delay_s, lambda: self._enqueue_push(push, entry.number, copies))
            return
        swap = self._faults.trigger(FaultKind.SWAP_PUSH, target)
        if swap and not self._swapped:
            self._swapped.append((push, entry.number))
            self.call_later(swap.fault.delay_s or _SWAP_WAIT_S, self._enqueue_swapped)
            return
        self._enqueue_push(push, entry.number, copies)
        self._enqueue_swapped()

    def call_later(self, delay_s: float, do: Callable[[], None]) -> None:
        """Call a function after a delay, unless the connection has closed by then."""

        def run() -> None:
            self._timers.discard(timer)
            do()

        timer = self._loop.call_later(delay_s, run)
        self._timers.add(timer)

    def _enqueue_swapped(self) -> None:
        swapped, self._swapped = self._swapped, []
        for push, number in swapped:
            self._enqueue_push(push, number, 1)

    def _enqueue_push(self, push: VenuePush, number: int, copies: int) -> None:
        facts: dict[str, object] = {"event_number": number, "channel": push.channel}
        for _ in range(copies):
            self._enqueue(_Frame(push.frame, EntryKind.DELIVER, facts))

    def _enqueue(self, frame: _Frame) -> None:
        if not self.is_closed:
            self._outbox.put_nowait(frame)

    async def write_frames(self) -> None:
        """Send the frames of the outbox until the socket closes; write each to the ledger before it is sent."""
        while not self.is_closed:
            frame = await self._outbox.get()
            self._ledger.write(frame.kind, portfolio_id=self.portfolio_id, connection=self.number, **frame.facts)
            if frame.message_type is WSMsgType.TEXT:
                self.last_venue_frame_s = self._loop.time()
            try:
                await self.socket.send_frame(frame.payload, frame.message_type)
            except ConnectionResetError:
                return

    async def wait_until_reading(self) -> None:
        """Wait until the venue reads from this socket."""
        await self._reading.wait()

    @property
    def is_reading(self) -> bool:
        """Tell whether the venue reads from this socket."""
        return self._reading.is_set()

    def stop_reading(self, for_s: float | None = None, then: Callable[[], None] | None = None) -> None:
        """Stop reading, so that the client's frames stay in the network; `then` is called when reading resumes."""
        self._reading.clear()
        self._transport.pause_reading()
        if then is not None:
            self._deferred.append(then)
        if for_s is not None:
            self.call_later(for_s, self.resume_reading)

    def resume_reading(self) -> None:
        """Call what was deferred, and read again."""
        deferred, self._deferred = self._deferred, []
        for do in deferred:
            do()
        if not self.is_closed:
            self.last_client_frame_s = self._loop.time()
            self._transport.resume_reading()
        self._reading.set()

    def abort(self, reason: str) -> None:
        """Cut the connection without a close frame."""
        self.close_reason = reason
        self._deferred.clear()
        self._transport.abort()
        self._reading.set()

    def close(self) -> None:
        """Mark the connection as closed and cancel its timers."""
        self.is_closed = True
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
