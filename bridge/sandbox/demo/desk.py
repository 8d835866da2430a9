"""The demo's trading desk: it knows the topics and nothing else, and waits for an answer to everything it sends."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Final

import msgspec
from aiokafka import AIOKafkaProducer

from bridge.contract.headers import ERROR_OFFSET, TAKEOVER_TYPE, TYPE
from bridge.contract.results import Outcome
from bridge.contract.topics import Stream
from bridge.sandbox.demo.orders import CommandDraft, CommandMix, RestingOrder, write_cancel_all
from bridge.sandbox.demo.readers import ReadRecord, TopicRecords

DEAD_LETTER: Final = "dead_letter"
"""Stands where an outcome would: a command that could not be answered under an id of its own."""
_OPEN: Final = frozenset({"NEW", "OPEN", "PARTIALLY_FILLED"})
_TERMINAL: Final = frozenset(outcome.value for outcome in Outcome if outcome.terminal)
_CLOSE_TRIES = 3
_HURRY_MAX_S = 1.0
"""How much of a pace that was missed is made up for."""


class SentCommand(msgspec.Struct, kw_only=True):
    """A command that was sent, and what has come back. Times are the machine's monotonic clock."""

    draft: CommandDraft
    sent_monotonic_s: float
    offset: int = -1
    outcome: str = ""
    answered_monotonic_s: float = 0.0
    comment: str = ""
    terminal_answers: int = 0
    """How many terminal answers came; more than one is a broken promise."""

    @property
    def has_terminal_answer(self) -> bool:
        """Whether it has its last word."""
        return self.outcome == DEAD_LETTER or self.outcome in _TERMINAL

    @property
    def latency_ms(self) -> float:
        """From just before the send until the answer was read back."""
        return (self.answered_monotonic_s - self.sent_monotonic_s) * 1000


class TradingDesk:
    """Writes commands and follows their answers and its orders on the topics."""

    def __init__(self, producer: AIOKafkaProducer, topic: str, mix: CommandMix, tape: TopicRecords) -> None:
        self._producer = producer
        self._topic = topic
        self._mix = mix
        self._tape = tape
        self._book: dict[str, RestingOrder] = {}
        self.sent: list[SentCommand] = []
        self._by_id: dict[str, SentCommand] = {}
        self._names: set[str] = set()
        self._nameless: dict[int, SentCommand] = {}
        self._early_letters: set[int] = set()
        self._listeners: list[Callable[[SentCommand], None]] = []
        tape.add_listener(self._hear)

    def add_listener(self, listener: Callable[[SentCommand], None]) -> None:
        """Tell a listener each command when it is sent and whenever it is answered."""
        self._listeners.append(listener)

    @property
    def outcomes(self) -> Counter[str]:
        """How many commands ended how; `unanswered` has neither a last word nor an `unknown`."""
        return Counter(sent.outcome or "unanswered" for sent in self.sent)

    async def trade(self, rate_per_s: float, stop: asyncio.Event) -> None:
        """Send one command after the other at a steady pace, until told to stop; the last one is sent whole."""
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        while not stop.is_set():
            await self.send(self._mix.next(list(self._book.values())))
            due_s = max(due_s + 1 / rate_per_s, loop.time() - _HURRY_MAX_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(due_s):
                    await stop.wait()

    async def send(self, draft: CommandDraft) -> SentCommand:
        """Append one command; returns once the broker has it."""
        sent = SentCommand(draft=draft, sent_monotonic_s=time.monotonic())
        self.sent.append(sent)
        if draft.command_id:
            self._by_id[draft.command_id] = sent
            self._names.add(draft.command_id.replace("-", ""))
        for listener in self._listeners:
            listener(sent)
        key = draft.command_id.encode() or None
        written = await self._producer.send_and_wait(self._topic, value=draft.value, key=key)
        sent.offset = written.offset
        if not draft.command_id:
            self._nameless[written.offset] = sent
            self._read_letters()
        return sent

    async def wait_for_answers(self, deadline_s: float) -> None:
        """Wait until every command has an answer, if only that its fate is unknown; at most until the deadline."""
        await self._tape.wait_until(lambda: all(sent.outcome for sent in self.sent), deadline_s)

    async def cancel_open_orders(self, still_open: Callable[[], Iterable[str]], deadline_s: float) -> None:
        """Cancel everything; again when an answer was lost or an order came after it. `still_open` is the truth."""
        await self.wait_for_answers(deadline_s)
        for _ in range(_CLOSE_TRIES):
            await self.send(write_cancel_all())
            await self.wait_for_answers(deadline_s)
            if not list(still_open()):
                return

    def _hear(self, record: ReadRecord) -> None:
        if record.stream is Stream.ORDERS:
            self._follow(record)
        elif record.stream is Stream.RESULTS and record.headers.get(TYPE) != TAKEOVER_TYPE:
            self._answer(record)
        elif record.stream is Stream.DEAD_LETTERS:
            self._early_letters.add(int(record.headers[ERROR_OFFSET]))
            self._read_letters()

    def _follow(self, record: ReadRecord) -> None:
        """Keep the book of what is open."""
        row = record.fields
        if row["clientOrderId"] not in self._names:
            return  # another desk's
        if row["orderState"] in _OPEN and row["limitPrice"]:
            self._book[row["orderId"]] = RestingOrder(
                order_id=row["orderId"],
                client_order_id=row["clientOrderId"],
                sym=row["sym"],
                side=row["side"],
                price=Decimal(row["limitPrice"]),
                can_be_replaced=row["orderState"] != "NEW",
            )
        else:
            self._book.pop(row["orderId"], None)

    def _answer(self, record: ReadRecord) -> None:
        row = record.fields
        sent = self._by_id.get(row["commandId"])
        if sent is None:
            return
        outcome = row["outcome"]
        sent.terminal_answers += outcome in _TERMINAL
        if sent.has_terminal_answer:
            return
        self._note(sent, outcome, record.read_monotonic_s, _comment(row))
        if outcome == Outcome.REJECTED and row.get("orderId"):
            # The topics may have missed the order's end: what the venue will not touch is not open.
            self._book.pop(row["orderId"], None)

    def _read_letters(self) -> None:
        """Match dead letters by the offset they name; a letter may be read before our own offset is known."""
        for offset in self._early_letters & self._nameless.keys():
            self._early_letters.discard(offset)
            sent = self._nameless[offset]
            sent.terminal_answers += 1
            self._note(sent, DEAD_LETTER, time.monotonic(), "")

    def _note(self, sent: SentCommand, outcome: str, seen_s: float, comment: str) -> None:
        sent.outcome, sent.answered_monotonic_s, sent.comment = outcome, seen_s, comment
        for listener in self._listeners:
            listener(sent)


def _comment(row: dict[str, object]) -> str:
    """Say in a few words why, or which order it became."""
    if row["outcome"] == Outcome.ACCEPTED:
        return str(row.get("orderId", ""))
    return " ".join(str(row[name]) for name in ("code", "reason") if row.get(name) is not None)
