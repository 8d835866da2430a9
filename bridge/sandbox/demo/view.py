"""The demo's output: events and commands live on a terminal, or else one line a second."""

import asyncio
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Final, Protocol, Self, TypeVar

from rich.console import Console
from rich.live import Live
from rich.text import Text

from bridge.sandbox.demo.check import Latency
from bridge.sandbox.demo.desk import SentCommand
from bridge.sandbox.demo.display_model import DisplayModel, EventRow, format_ms, format_time
from bridge.sandbox.demo.readers import COMMANDS, EVENTS

T = TypeVar("T")

_SESSION_LINES = 5
_REFRESH_S = 0.25
_PLAIN_LINE_S = 1.0
_FIXED_LINES = 14
"""The lines of the screen for title, headings, counters, session events and the space between."""
_NARROWEST = 60
_WIDE = 110
"""From this width on, whole keys and the comments of commands are shown."""

_OUTCOME_STYLES: Final = {
    "accepted": "green",
    "rejected": "yellow",
    "denied": "yellow",
    "expired": "yellow",
    "dead_letter": "yellow",
    "unknown": "red",
}


class DemoView(Protocol):
    """A way to show the display model."""

    async def show(self) -> None:
        """Show it until cancelled."""

    def __enter__(self) -> Self:
        """Begin to show."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Restore the terminal."""


class PlainView:
    """Prints one line a second, and one for each session event."""

    def __init__(self, display: DisplayModel, console: Console) -> None:
        self._display = display
        self._console = console
        self._printed_lines = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._print_session_lines()

    async def show(self) -> None:
        """Print until cancelled."""
        while True:
            await asyncio.sleep(_PLAIN_LINE_S)
            self._print_session_lines()
            self._console.out(self._status_line())

    def _print_session_lines(self) -> None:
        for line in self._display.session[self._printed_lines :]:
            self._console.out(f"{line.at}  {line.text}", style=line.style or None)
        self._printed_lines = len(self._display.session)

    def _status_line(self) -> str:
        display = self._display
        events, commands = display.latencies
        records = sum(len(display.topic_records[stream]) for stream in EVENTS)
        outcomes = display.desk.outcomes
        answered = sum(outcomes.values()) - outcomes["unanswered"]
        return (
            f"{format_time(time.time() * 1000)}  "
            f"events {records:>6} records {format_ms(events.median):>6} ms  ·  "
            f"commands {len(display.desk.sent):>5} sent {answered:>5} answered {format_ms(commands.median):>6} ms"
        )


class LiveView:
    """Shows events and commands on the whole terminal, the newest below."""

    def __init__(self, display: DisplayModel, console: Console) -> None:
        self._display = display
        self._console = console
        # Plain text instead of tables, because drawing delays the event loop that is being measured.
        self._live = Live(console=console, screen=True, auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)
        for line in self._display.session:
            self._console.print(Text(f"{line.at}  {line.text}", style=line.style))

    async def show(self) -> None:
        """Draw until cancelled."""
        while True:
            self._live.update(self._draw_screen(), refresh=True)
            await asyncio.sleep(_REFRESH_S)

    def _draw_screen(self) -> Text:
        display, width = self._display, max(_NARROWEST, self._console.width)
        free = max(4, self._console.height - _FIXED_LINES)
        event_rows = free * 3 // 5
        lines = [
            self._title_line(width),
            Text(),
            _heading_line("EVENTS", "venue → socket → daemon → topic → reader", display.latencies[0]),
            *_pad_lines((_event_line(row, width) for row in _last_rows(display.events, event_rows)), event_rows),
            _counts_line((stream.value, len(display.topic_records[stream])) for stream in EVENTS),
            Text(),
            _heading_line("COMMANDS", "topic → daemon → socket → venue → results → reader", display.latencies[1]),
            *_pad_lines(
                (_command_line(at, sent, width) for at, sent in _last_rows(display.commands, free - event_rows)),
                free - event_rows,
            ),
            _counts_line((stream.value, len(display.topic_records[stream])) for stream in COMMANDS),
            _counts_line(sorted(display.desk.outcomes.items(), key=lambda item: -item[1]), _OUTCOME_STYLES),
            Text(),
            *_pad_lines(
                (Text(f"{line.at}  {line.text}", style=line.style) for line in display.session[-_SESSION_LINES:]),
                _SESSION_LINES,
            ),
        ]
        for line in lines:
            line.truncate(width, overflow="ellipsis")
        screen = Text("\n").join(lines)
        screen.no_wrap = True
        return screen

    def _title_line(self, width: int) -> Text:
        minutes, seconds = divmod(int(time.monotonic() - self._display.begun_monotonic_s), 60)
        right = f"{minutes:02d}:{seconds:02d}  Ctrl-C ends"
        return Text(f"{self._display.title:<{width - len(right) - 1}} {right}", style="reverse")


def _last_rows(rows: Iterable[T], count: int) -> list[T]:
    return list(rows)[-count:]


def _pad_lines(lines: Iterable[Text], count: int) -> list[Text]:
    found = list(lines)
    return found + [Text() for _ in range(count - len(found))]


def _heading_line(name: str, way: str, latency: Latency) -> Text:
    line = Text(f"{name:<10}", style="bold")
    line.append(f"{way}   ", style="dim")
    line.append(f"median {format_ms(latency.median)} ms   p99 {format_ms(latency.p99)} ms", style="cyan")
    return line


def _fit_cell(text: str, width: int) -> str:
    return text[: width - 1] + "…" if len(text) > width else text.ljust(width)


def _event_line(row: EventRow, width: int) -> Text:
    line = Text(f"{row.at}  ", style="dim")
    line.append(f"{row.stream.value:<13}", style="bold")
    key_width = 28 if width >= _WIDE else 16
    line.append(_fit_cell(row.key, key_width) + " ")
    line.append(_fit_cell(row.what, max(10, width - key_width - 39)) + " ")
    line.append(f"{format_ms(row.took_ms):>6} ms", style="cyan")
    return line


def _command_line(at: str, sent: SentCommand, width: int) -> Text:
    line = Text(f"{at}  ", style="dim")
    line.append(f"{sent.draft.action or '?':<14}", style="bold")
    comment = _fit_cell(sent.comment, 18) + " " if width >= _WIDE else ""
    line.append(_fit_cell(sent.draft.text, max(10, width - len(comment) - 51)) + " ")
    line.append(f"{sent.outcome or '…':<12}", style=_OUTCOME_STYLES.get(sent.outcome, "dim"))
    line.append(comment)
    took = format_ms(sent.latency_ms) if sent.outcome else ""
    line.append(f"{took:>6} ms" if took else "", style="cyan")
    return line


def _counts_line(items: Iterable[tuple[str, int]], styles: dict[str, str] | None = None) -> Text:
    line = Text(" " * 14)
    for name, count in items:
        line.append(f"{name} ", style="dim")
        line.append(f"{count}   ", style=(styles or {}).get(name, "bold"))
    return line
