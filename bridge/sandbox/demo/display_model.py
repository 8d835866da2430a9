"""The data that the demo displays: the latest pushes and commands as short texts, and the figures so far."""

import time
from collections import deque
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from bridge.contract.commands import CANCEL, CANCEL_ALL, PLACE, REPLACE
from bridge.contract.session import Cause
from bridge.contract.topics import Stream
from bridge.sandbox.demo.check import Latency, PushLatencies, summarize_latency
from bridge.sandbox.demo.daemon import UsedBudget
from bridge.sandbox.demo.desk import SentCommand, TradingDesk
from bridge.sandbox.demo.ledger_reader import STREAM_OF
from bridge.sandbox.demo.orders import shorten_symbol
from bridge.sandbox.demo.other_callers import OtherCallers
from bridge.sandbox.demo.readers import ReadRecord, TopicRecords
from bridge.sandbox.demo.running_check import RunningCheck
from bridge.sandbox.demo.second_terminal import SecondTerminal

_ROWS_MAX = 60
_LATEST_LATENCIES = 1000
_RATE_SPAN_S = 5.0
_SESSION_STYLES: Final = {
    **dict.fromkeys(("session.opened", "recovery.complete", "gap.closed", "alarm.cleared"), "green"),
    **dict.fromkeys(("session.lost", "gap.opened", "alarm.raised"), "red"),
}
_SHORT_ACTIONS: Final = {PLACE: "place", REPLACE: "replace", CANCEL: "cancel", CANCEL_ALL: "cancel-all"}
_STREAMS: Final = frozenset(STREAM_OF.values())


class EventRow(msgspec.Struct, frozen=True):
    """One record of an event topic, as displayed."""

    at: str
    stream: Stream
    key: str
    what: str
    took_ms: float | None


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one moment; rates are of the last 5 s."""

    pushes: int
    pushes_per_s: float
    commands: int
    commands_per_s: float
    other_commands: int
    lost: int
    duplicated: int
    push_latency: Latency
    command_latency: Latency

    @property
    def verdict(self) -> str:
        """The running verdict."""
        return f"lost {self.lost}, duplicated {self.duplicated} so far"


class RateMeter:
    """Measures how fast a count grows from 0 on."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque([(time.monotonic(), 0)])

    def measure(self, count: int, now_s: float) -> float:
        """Take the count of this moment; return its growth by the second since the oldest sample of the last 5 s."""
        self._samples.append((now_s, count))
        while now_s - self._samples[0][0] > _RATE_SPAN_S:
            self._samples.popleft()
        since_s, before = self._samples[0]
        return (count - before) / (now_s - since_s) if now_s > since_s else 0.0


class SessionLine(msgspec.Struct, frozen=True):
    """One session event, as displayed."""

    at: str
    text: str
    style: str


def format_time(unix_ms: float) -> str:
    """Return a local time of day with milliseconds."""
    return time.strftime("%H:%M:%S", time.localtime(unix_ms / 1000)) + f".{int(unix_ms) % 1000:03d}"


def format_ms(value: float | None) -> str:
    """Return a duration as text, with one decimal place below 100 ms."""
    if value is None:
        return "-"
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"  # noqa: PLR2004 - three figures are enough


def describe_budgets(budgets: Iterable[UsedBudget]) -> str:
    """Return a short text of how far the rate limits are used; a dash before the daemon has said so."""
    return ", ".join(f"{_SHORT_ACTIONS[one.action]} {one.used}/{one.limit}" for one in budgets) or "-"


def describe_push(stream: Stream, row: dict[str, Any]) -> str:
    """Return a short text of a push."""
    if stream is Stream.ORDERS:
        price = f" @ {row['limitPrice']}" if row["limitPrice"] else ""
        done = f", {row['executedQty']} done" if row["executedQty"] != "0" else ""
        return f"{row['orderState']} {row['side']} {row['orderQty']} {shorten_symbol(row['sym'])}{price}{done}"
    if stream is Stream.TRADES:
        return (
            f"{row['side']} {row['quantity']} {shorten_symbol(row['sym'])} @ {row['price']} {row['execType'].lower()}"
        )
    if stream is Stream.ASSETS:
        return f"{row['coin']} balance {row['balance']}, available {row['available']}"
    if stream is Stream.POSITIONS:
        return f"{row['positionQty']} {shorten_symbol(row['sym'])}, average {row['avgPrice']}"
    if stream is Stream.MARGIN_CALLS:
        return f"{row['accountStatus']}, equity {row['equity']}"
    return ""


def describe_session(row: dict[str, Any]) -> str:
    """Return a short text of a session event."""
    kind = row["type"]
    if kind == "session.opened":
        return f"{kind} at {row['endpoint']}"
    if kind == "recovery.complete":
        return f"{kind} at {row['endpoint']}, {row['openOrders']} open orders{_describe_recovered(row)}"
    if kind == "gap.opened":
        cause = "the first start is a gap too" if row["cause"] == Cause.FIRST_START else row["cause"]
        return f"{kind} {row['gapId']} from {format_time(row['fromMs'])}, {cause}"
    if kind == "gap.closed":
        return f"{kind} {row['gapId']}{_describe_recovered(row)}"
    rest = row.get("cause") or row.get("alarm") or (f"epoch {row['epoch']}" if "epoch" in row else "")
    return f"{kind} {rest}".rstrip()


def _describe_recovered(row: dict[str, Any]) -> str:
    """Return the counts of what was recovered over REST."""
    counts = ", ".join(f"{count} {stream}" for stream, count in row["recovered"].items() if count)
    return f", recovered {counts}" if counts else ""


class DisplayModel:
    """The displayed data, updated by the readers and the desk."""

    def __init__(
        self,
        topic_records: TopicRecords,
        desk: TradingDesk,
        latencies: PushLatencies,
        check: RunningCheck,
        second_terminal: SecondTerminal,
    ) -> None:
        self.second_terminal = second_terminal
        self.begun_monotonic_s = time.monotonic()
        self.events: deque[EventRow] = deque(maxlen=_ROWS_MAX)
        self.commands: deque[tuple[str, SentCommand]] = deque(maxlen=_ROWS_MAX)
        self.session: list[SessionLine] = []
        self.answered_ms: list[float] = []
        self.budgets: list[UsedBudget] = []
        """How far the rate limits are used, as the daemon has said last."""
        self.topic_records = topic_records
        self.desk = desk
        self._latencies = latencies
        self._check = check
        self._push_rate, self._command_rate = RateMeter(), RateMeter()
        self._others = OtherCallers(desk)
        topic_records.add_listener(self._on_record)
        desk.add_listener(self._on_command)

    def add_note(self, text: str) -> None:
        """Add a line of the demo among those of the session."""
        self.session.append(SessionLine(format_time(time.time() * 1000), text, "cyan"))

    def set_budgets(self, budgets: list[UsedBudget]) -> None:
        """Take how far the rate limits are used."""
        self.budgets = sorted(budgets, key=lambda one: list(_SHORT_ACTIONS).index(one.action))

    @property
    def fullest_budget(self) -> list[UsedBudget]:
        """The budget of which the largest share is used; empty before the daemon has told any."""
        return sorted(self.budgets, key=lambda one: one.used / max(1, one.limit))[-1:]

    def measure(self) -> Figures:
        """Return the figures of this moment; a view calls it each time it shows them."""
        now_s = time.monotonic()
        pushes = sum(len(self.topic_records[stream]) for stream in _STREAMS)
        commands = len(self.topic_records[Stream.COMMANDS])
        latest = slice(-_LATEST_LATENCIES, None)
        return Figures(
            pushes=pushes,
            pushes_per_s=self._push_rate.measure(pushes, now_s),
            commands=commands,
            commands_per_s=self._command_rate.measure(commands, now_s),
            other_commands=len(self.desk.other_commands),
            lost=self._check.count_lost(now_s),
            duplicated=self._check.duplicated,
            push_latency=summarize_latency(self._latencies.measured_ms[latest]),
            command_latency=summarize_latency(self.answered_ms[latest]),
        )

    def _on_record(self, record: ReadRecord) -> None:
        if record.stream is Stream.SESSION:
            row = record.fields
            is_first = row.get("cause") == Cause.FIRST_START
            style = "" if is_first else _SESSION_STYLES.get(row["type"], "")
            self.session.append(SessionLine(format_time(row["at"]), describe_session(row), style))
        elif record.stream in _STREAMS:
            took_ms = self._latencies.measure(record)
            what = describe_push(record.stream, record.fields) if record.value else "has ended"
            at = format_time(record.timestamp_ms)
            self.events.append(EventRow(at, record.stream, record.key.decode(), what, took_ms))
        elif (command := self._others.take(record)) is not None:
            self.commands.append((format_time(record.timestamp_ms), command))

    def _on_command(self, sent: SentCommand) -> None:
        if not sent.outcome:
            self.commands.append((format_time(time.time() * 1000), sent))
        elif sent.has_terminal_answer:
            self.answered_ms.append(sent.latency_ms)
