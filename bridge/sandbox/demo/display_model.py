"""The data that the demo displays: the latest events and commands as short texts."""

import time
from collections import deque
from typing import Any, Final

import msgspec

from bridge.contract.topics import Stream
from bridge.sandbox.demo.check import STREAM_OF, Latency, PushLatencies, summarize_latency
from bridge.sandbox.demo.desk import SentCommand, TradingDesk
from bridge.sandbox.demo.orders import shorten_symbol
from bridge.sandbox.demo.readers import ReadRecord, TopicRecords

_ROWS_MAX = 60
_LATEST_LATENCIES = 1000
_SESSION_STYLES: Final = {
    **dict.fromkeys(("session.opened", "recovery.complete", "gap.closed", "alarm.cleared"), "green"),
    **dict.fromkeys(("session.lost", "gap.opened", "alarm.raised"), "red"),
}
_STREAMS: Final = frozenset(STREAM_OF.values())


class EventRow(msgspec.Struct, frozen=True):
    """One record of an event topic, as displayed."""

    at: str
    stream: Stream
    key: str
    what: str
    took_ms: float | None


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
        return f"{kind} {row['gapId']} from {format_time(row['fromMs'])}, {row['cause']}"
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

    def __init__(self, topic_records: TopicRecords, desk: TradingDesk, latencies: PushLatencies, title: str) -> None:
        self.title = title
        self.begun_monotonic_s = time.monotonic()
        self.events: deque[EventRow] = deque(maxlen=_ROWS_MAX)
        self.commands: deque[tuple[str, SentCommand]] = deque(maxlen=_ROWS_MAX)
        self.session: list[SessionLine] = []
        self.answered_ms: list[float] = []
        self.topic_records = topic_records
        self.desk = desk
        self._latencies = latencies
        topic_records.add_listener(self._on_record)
        desk.add_listener(self._on_command)

    def add_note(self, text: str) -> None:
        """Add a line of the demo among those of the session."""
        self.session.append(SessionLine(format_time(time.time() * 1000), text, "cyan"))

    @property
    def latencies(self) -> tuple[Latency, Latency]:
        """The latest latencies of events and of commands."""
        latest = slice(-_LATEST_LATENCIES, None)
        return summarize_latency(self._latencies.measured_ms[latest]), summarize_latency(self.answered_ms[latest])

    def _on_record(self, record: ReadRecord) -> None:
        if record.stream is Stream.SESSION:
            row = record.fields
            style = _SESSION_STYLES.get(row["type"], "")
            self.session.append(SessionLine(format_time(row["at"]), describe_session(row), style))
        elif record.stream in _STREAMS:
            took_ms = self._latencies.measure(record)
            what = describe_push(record.stream, record.fields)
            at = format_time(record.timestamp_ms)
            self.events.append(EventRow(at, record.stream, record.key.decode(), what, took_ms))

    def _on_command(self, sent: SentCommand) -> None:
        if not sent.outcome:
            self.commands.append((format_time(time.time() * 1000), sent))
        elif sent.has_terminal_answer:
            self.answered_ms.append(sent.latency_ms)
