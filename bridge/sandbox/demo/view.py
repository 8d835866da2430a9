"""How the demo shows itself: both streets live on a terminal, or a line a second where nobody watches."""

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
"""Of the screen: title, headings, counters, session lines and the space between."""
_NARROWEST = 60
_WIDE = 110
"""From here on there is room for the whole of every key, and for what came of a command."""

_OUTCOME_STYLES: Final = {
    "accepted": "green",
    "rejected": "yellow",
    "denied": "yellow",
    "expired": "yellow",
    "dead_letter": "yellow",
    "unknown": "red",
}


class DemoView(Protocol):
    """A way to show the scene."""

    async def show(self) -> None:
        """Show it until cancelled."""

    def __enter__(self) -> Self:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the terminal back."""


class PlainView:
    """One line a second, and one for each thing that happens to the session."""

    def __init__(self, scene: DisplayModel, console: Console) -> None:
        self._scene = scene
        self._console = console
        self._told = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tell()

    async def show(self) -> None:
        """Print until cancelled."""
        while True:
            await asyncio.sleep(_PLAIN_LINE_S)
            self._tell()
            self._console.out(self._line())

    def _tell(self) -> None:
        for line in self._scene.session[self._told :]:
            self._console.out(f"{line.at}  {line.text}", style=line.style or None)
        self._told = len(self._scene.session)

    def _line(self) -> str:
        scene = self._scene
        events, commands = scene.latencies
        records = sum(len(scene.topic_records[stream]) for stream in EVENTS)
        outcomes = scene.desk.outcomes
        answered = sum(outcomes.values()) - outcomes["unanswered"]
        return (
            f"{format_time(time.time() * 1000)}  "
            f"events {records:>6} records {format_ms(events.median):>6} ms  ·  "
            f"commands {len(scene.desk.sent):>5} sent {answered:>5} answered {format_ms(commands.median):>6} ms"
        )


class LiveView:
    """Both streets on the whole terminal, newest below."""

    def __init__(self, scene: DisplayModel, console: Console) -> None:
        self._scene = scene
        self._console = console
        # Plain text rather than tables: drawing shares the event loop with everything that is being measured.
        self._live = Live(console=console, screen=True, auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)
        for line in self._scene.session:
            self._console.print(Text(f"{line.at}  {line.text}", style=line.style))

    async def show(self) -> None:
        """Draw until cancelled."""
        while True:
            self._live.update(self._screen(), refresh=True)
            await asyncio.sleep(_REFRESH_S)

    def _screen(self) -> Text:
        scene, width = self._scene, max(_NARROWEST, self._console.width)
        free = max(4, self._console.height - _FIXED_LINES)
        event_rows = free * 3 // 5
        lines = [
            self._title(width),
            Text(),
            _street("EVENTS", "venue → socket → daemon → topic → reader", scene.latencies[0]),
            *_padded((_event_line(row, width) for row in _last(scene.events, event_rows)), event_rows),
            _counts((stream.value, len(scene.topic_records[stream])) for stream in EVENTS),
            Text(),
            _street("COMMANDS", "topic → daemon → socket → venue → results → reader", scene.latencies[1]),
            *_padded(
                (_command_line(at, sent, width) for at, sent in _last(scene.commands, free - event_rows)),
                free - event_rows,
            ),
            _counts((stream.value, len(scene.topic_records[stream])) for stream in COMMANDS),
            _counts(sorted(scene.desk.outcomes.items(), key=lambda item: -item[1]), _OUTCOME_STYLES),
            Text(),
            *_padded(
                (Text(f"{line.at}  {line.text}", style=line.style) for line in scene.session[-_SESSION_LINES:]),
                _SESSION_LINES,
            ),
        ]
        for line in lines:
            line.truncate(width, overflow="ellipsis")
        screen = Text("\n").join(lines)
        screen.no_wrap = True
        return screen

    def _title(self, width: int) -> Text:
        minutes, seconds = divmod(int(time.monotonic() - self._scene.begun_monotonic_s), 60)
        right = f"{minutes:02d}:{seconds:02d}  Ctrl-C ends"
        return Text(f"{self._scene.title:<{width - len(right) - 1}} {right}", style="reverse")


def _last(rows: Iterable[T], count: int) -> list[T]:
    return list(rows)[-count:]


def _padded(lines: Iterable[Text], count: int) -> list[Text]:
    found = list(lines)
    return found + [Text() for _ in range(count - len(found))]


def _street(name: str, way: str, latency: Latency) -> Text:
    line = Text(f"{name:<10}", style="bold")
    line.append(f"{way}   ", style="dim")
    line.append(f"median {format_ms(latency.median)} ms   p99 {format_ms(latency.p99)} ms", style="cyan")
    return line


def _cell(text: str, width: int) -> str:
    return text[: width - 1] + "…" if len(text) > width else text.ljust(width)


def _event_line(row: EventRow, width: int) -> Text:
    line = Text(f"{row.at}  ", style="dim")
    line.append(f"{row.stream.value:<13}", style="bold")
    key_width = 28 if width >= _WIDE else 16
    line.append(_cell(row.key, key_width) + " ")
    line.append(_cell(row.what, max(10, width - key_width - 39)) + " ")
    line.append(f"{format_ms(row.took_ms):>6} ms", style="cyan")
    return line


def _command_line(at: str, sent: SentCommand, width: int) -> Text:
    line = Text(f"{at}  ", style="dim")
    line.append(f"{sent.draft.action or '?':<14}", style="bold")
    comment = _cell(sent.comment, 18) + " " if width >= _WIDE else ""
    line.append(_cell(sent.draft.text, max(10, width - len(comment) - 51)) + " ")
    line.append(f"{sent.outcome or '…':<12}", style=_OUTCOME_STYLES.get(sent.outcome, "dim"))
    line.append(comment)
    took = format_ms(sent.latency_ms) if sent.outcome else ""
    line.append(f"{took:>6} ms" if took else "", style="cyan")
    return line


def _counts(items: Iterable[tuple[str, int]], styles: dict[str, str] | None = None) -> Text:
    line = Text(" " * 14)
    for name, count in items:
        line.append(f"{name} ", style="dim")
        line.append(f"{count}   ", style=(styles or {}).get(name, "bold"))
    return line
