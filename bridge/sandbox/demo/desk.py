"""The demo's trading desk: it uses the topics only, and waits for an answer to every command."""

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

_UNANSWERED: Final = "unanswered"
DEAD_LETTER: Final = "dead_letter"
"""The outcome of a command without a usable id, which is answered by a dead letter."""
_OPEN: Final = frozenset({"NEW", "OPEN", "PARTIALLY_FILLED"})
_TERMINAL: Final = frozenset(outcome.value for outcome in Outcome if outcome.terminal)
_CLOSE_TRIES = 3
_CATCH_UP_MAX_S = 1.0
"""The largest delay that the desk catches up with."""


class SentCommand(msgspec.Struct, kw_only=True):
    """A command that was sent, and its answer."""

    draft: CommandDraft
    sent_monotonic_s: float
    outcome: str = ""
    answered_monotonic_s: float = 0.0
    comment: str = ""
    appearances: int = 0
    """How often it is on the topic of commands: more than once if somebody has sent it again."""
    terminal_answers: int = 0

    @property
    def has_too_many_answers(self) -> bool:
        """Whether it has more terminal answers than the times it was sent, which is an error of the bridge."""
        return self.terminal_answers > max(1, self.appearances)

    @property
    def has_terminal_answer(self) -> bool:
        """Whether the command has a terminal answer."""
        return self.outcome == DEAD_LETTER or self.outcome in _TERMINAL

    @property
    def latency_ms(self) -> float:
        """The milliseconds from the send to the reading of the answer."""
        return (self.answered_monotonic_s - self.sent_monotonic_s) * 1000


class TradingDesk:
    """Writes commands, and follows their answers and its orders on the topics."""

    def __init__(self, producer: AIOKafkaProducer, topic: str, mix: CommandMix, topic_records: TopicRecords) -> None:
        self._producer = producer
        self._topic = topic
        self._mix = mix
        self._topic_records = topic_records
        self._open_orders: dict[str, RestingOrder] = {}
        self.sent: list[SentCommand] = []
        self._by_id: dict[str, SentCommand] = {}
        self._not_seen_yet: Counter[str | bytes] = Counter()
        self.other_commands: list[ReadRecord] = []
        """The commands of other callers on the same topic, also the desk's own when somebody sends it again."""
        self._client_order_ids: set[str] = set()
        self._outcomes: Counter[str] = Counter()
        self._sent_without_id: dict[int, SentCommand] = {}
        self._dead_letter_offsets: set[int] = set()
        self._listeners: list[Callable[[SentCommand], None]] = []
        topic_records.add_listener(self._on_record)

    def add_listener(self, listener: Callable[[SentCommand], None]) -> None:
        """Call a listener with each command when it is sent and whenever it is answered."""
        self._listeners.append(listener)

    @property
    def outcomes(self) -> Counter[str]:
        """The number of commands by outcome; `unanswered` ones have no result at all."""
        return +self._outcomes

    async def trade(self, rate_per_s: float, stop: asyncio.Event) -> None:
        """Send one command after the other at a steady rate until `stop` is set."""
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        while not stop.is_set():
            await self.send(self._mix.next(list(self._open_orders.values())))
            due_s = max(due_s + 1 / rate_per_s, loop.time() - _CATCH_UP_MAX_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(due_s):
                    await stop.wait()

    async def send(self, draft: CommandDraft) -> SentCommand:
        """Append one command, and return it once the broker has it."""
        sent = SentCommand(draft=draft, sent_monotonic_s=time.monotonic())
        self.sent.append(sent)
        self._outcomes[_UNANSWERED] += 1
        self._not_seen_yet[draft.command_id or draft.value] += 1
        if draft.command_id:
            self._by_id[draft.command_id] = sent
            self._client_order_ids.add(draft.command_id.replace("-", ""))
        for listener in self._listeners:
            listener(sent)
        key = draft.command_id.encode() or None
        written = await self._producer.send_and_wait(self._topic, value=draft.value, key=key)
        if not draft.command_id:
            self._sent_without_id[written.offset] = sent
            self._match_dead_letters()
        return sent

    async def wait_for_answers(self, deadline_s: float) -> None:
        """Wait until every command has an answer, which may be `unknown`; at most until the deadline."""
        await self._topic_records.wait_until(lambda: all(sent.outcome for sent in self.sent), deadline_s)

    async def cancel_open_orders(self, still_open: Callable[[], Iterable[str]], deadline_s: float) -> None:
        """Cancel all orders, again while the venue has open ones; `still_open` returns the venue's open orders."""
        await self.wait_for_answers(deadline_s)
        for _ in range(_CLOSE_TRIES):
            await self.send(write_cancel_all())
            await self.wait_for_answers(deadline_s)
            if not list(still_open()):
                return

    def _on_record(self, record: ReadRecord) -> None:
        if record.stream is Stream.ORDERS:
            self._update_open_orders(record)
        elif record.stream is Stream.RESULTS and record.headers.get(TYPE) != TAKEOVER_TYPE:
            self._on_result(record)
        elif record.stream is Stream.COMMANDS:
            self._on_command(record)
        elif record.stream is Stream.DEAD_LETTERS:
            self._dead_letter_offsets.add(int(record.headers[ERROR_OFFSET]))
            self._match_dead_letters()

    def _on_command(self, record: ReadRecord) -> None:
        """Tell the desk's commands from those of others."""
        command_id = record.fields.get("commandId")
        name = command_id if isinstance(command_id, str) else record.value
        if isinstance(name, str) and name in self._by_id:
            self._by_id[name].appearances += 1
        if self._not_seen_yet[name] > 0:
            self._not_seen_yet[name] -= 1
        else:
            self.other_commands.append(record)

    def _update_open_orders(self, record: ReadRecord) -> None:
        """Update the open orders from an order push."""
        row = record.fields
        if row.get("clientOrderId") not in self._client_order_ids:
            return  # an order of another desk
        if row["orderState"] in _OPEN and row["limitPrice"]:
            self._open_orders[row["orderId"]] = RestingOrder(
                order_id=row["orderId"],
                client_order_id=row["clientOrderId"],
                sym=row["sym"],
                side=row["side"],
                price=Decimal(row["limitPrice"]),
                can_be_replaced=row["orderState"] != "NEW",
            )
        else:
            self._open_orders.pop(row["orderId"], None)

    def _on_result(self, record: ReadRecord) -> None:
        row = record.fields
        sent = self._by_id.get(row.get("commandId", ""))
        if sent is None:
            return
        outcome = row["outcome"]
        sent.terminal_answers += outcome in _TERMINAL
        if sent.has_terminal_answer:
            return
        self._set_outcome(sent, outcome, record.read_monotonic_s, _describe_result(row))
        if outcome == Outcome.REJECTED and row.get("orderId"):
            # The topics may lack the order's end: an order that the venue refuses to change is treated as ended.
            self._open_orders.pop(row["orderId"], None)

    def _match_dead_letters(self) -> None:
        """Match dead letters to commands by offset; a letter may be read before the producer returns the offset."""
        for offset in self._dead_letter_offsets & self._sent_without_id.keys():
            self._dead_letter_offsets.discard(offset)
            sent = self._sent_without_id[offset]
            sent.terminal_answers += 1
            self._set_outcome(sent, DEAD_LETTER, time.monotonic(), "")

    def _set_outcome(self, sent: SentCommand, outcome: str, at_monotonic_s: float, comment: str) -> None:
        self._outcomes[sent.outcome or _UNANSWERED] -= 1
        self._outcomes[outcome] += 1
        sent.outcome, sent.answered_monotonic_s, sent.comment = outcome, at_monotonic_s, comment
        for listener in self._listeners:
            listener(sent)


def _describe_result(row: dict[str, object]) -> str:
    """Return the code and reason of a result, or the orderId of an accepted command."""
    if row["outcome"] == Outcome.ACCEPTED:
        return str(row.get("orderId", ""))
    return " ".join(str(row[name]) for name in ("code", "reason") if row.get(name) is not None)
