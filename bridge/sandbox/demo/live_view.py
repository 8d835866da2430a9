"""The demo's output on a terminal: pushes and commands live, with what a second terminal needs above them."""

import asyncio
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Final, Self, TypeVar

from rich.console import Console
from rich.text import Text

from bridge.contract.topics import Stream
from bridge.sandbox.demo.check import Latency
from bridge.sandbox.demo.desk import SentCommand
from bridge.sandbox.demo.display_model import DisplayModel, EventRow, Figures, describe_budgets, format_ms
from bridge.sandbox.demo.readers import COMMANDS, EVENTS
from bridge.sandbox.demo.screen import Screen
from bridge.terminal import escape_text

T = TypeVar("T")

_REFRESH_S = 0.25
_NARROWEST = 60
_WIDE = 110
"""From this width on, whole keys, the ways of the records and the comments of commands are shown."""
_HIGH = 34
"""From this height on, five events of the session are shown and parts are kept apart; below, three events."""
_NAME_WIDTH = 14
_LAST_LINES = 30
"""So many events of the session are printed at the end."""

_OUTCOME_STYLES: Final = {
    "accepted": "green",
    "rejected": "yellow",
    "denied": "yellow",
    "expired": "yellow",
    "dead_letter": "yellow",
    "unknown": "red",
}


class LiveView:
    """Shows pushes and commands on the whole terminal, the newest below."""

    def __init__(self, display: DisplayModel, console: Console) -> None:
        self._display = display
        self._console = console
        # Plain text instead of tables, because drawing delays the event loop that is being measured.
        self._screen = Screen(console)

    def __enter__(self) -> Self:
        self._screen.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._screen.__exit__(kind, error, trace)
        session = self._display.session
        if len(session) > _LAST_LINES:
            self._console.out(f"(the first {len(session) - _LAST_LINES} events of the session are left out)")
        for line in session[-_LAST_LINES:]:
            self._console.print(Text(f"{line.at}  {line.text}", style=line.style))

    async def show(self) -> None:
        """Draw until cancelled."""
        while True:
            self._screen.draw(self._draw_lines())
            await asyncio.sleep(_REFRESH_S)

    def _draw_lines(self) -> list[Text]:
        display, width, height = self._display, max(_NARROWEST, self._console.width), self._console.height
        figures = display.measure()
        gap = [Text()] if height >= _HIGH else []
        top = [*self._draw_head(width), *gap]
        bottom = [*gap, *self._draw_foot(figures, 5 if gap else 3)]
        pushes, push_counts = self._draw_push_frame(figures, width)
        commands, command_counts = self._draw_command_frame(figures, width)
        frame = sum(map(len, (top, bottom, push_counts, command_counts, gap))) + 2
        free = max(4, height - frame)
        push_rows = free * 3 // 5
        return [
            *top,
            pushes,
            *_pad_lines((_event_line(row, width) for row in _last_rows(display.events, push_rows)), push_rows),
            *push_counts,
            *gap,
            commands,
            *_pad_lines(
                (_command_line(at, sent, width) for at, sent in _last_rows(display.commands, free - push_rows)),
                free - push_rows,
            ),
            *command_counts,
            *bottom,
        ]

    def _draw_head(self, width: int) -> list[Text]:
        """Return the title with the addresses, and the commands for a second terminal."""
        second, display = self._display.second_terminal, self._display
        minutes, seconds = divmod(int(time.monotonic() - display.begun_monotonic_s), 60)
        right = f"{minutes:02d}:{seconds:02d}  Ctrl-C ends"
        left = f"broker {second.bootstrap_servers}  status page {second.page_url}"
        return [
            Text(f"{left:<{width - len(right) - 1}} {right}", style="reverse"),
            Text(second.caption, style="dim"),
            *(Text(line, style="bold") for line in second.wrap_commands(width)),
        ]

    def _draw_push_frame(self, figures: Figures, width: int) -> tuple[Text, list[Text]]:
        way = "venue → socket → daemon → topic → reader" if width >= _WIDE else ""
        heading = _heading_line("PUSHES", way, figures.pushes_per_s, figures.push_latency)
        return heading, [_counts_line("records", self._count_records(EVENTS))]

    def _draw_command_frame(self, figures: Figures, width: int) -> tuple[Text, list[Text]]:
        way = "topic → daemon → socket → venue → results → reader" if width >= _WIDE else ""
        heading = _heading_line("COMMANDS", way, figures.commands_per_s, figures.command_latency)
        outcomes = sorted(self._display.desk.outcomes.items(), key=lambda item: -item[1])
        others = [("of other callers", figures.other_commands)] if figures.other_commands else []
        return heading, [
            _counts_line("records", self._count_records(COMMANDS)),
            _counts_line("outcomes", [*outcomes, *others], _OUTCOME_STYLES),
        ]

    def _count_records(self, streams: Iterable[Stream]) -> Iterable[tuple[str, int]]:
        return ((stream.value, len(self._display.topic_records[stream])) for stream in streams)

    def _draw_foot(self, figures: Figures, session_lines: int) -> list[Text]:
        """Return the use of the rate limits, the running verdict and the latest events of the session."""
        verdict = Text(f"{'check':<{_NAME_WIDTH}}")
        verdict.append(figures.verdict, style="red" if figures.lost or figures.duplicated else "green")
        budgets = Text(f"{'budget used':<{_NAME_WIDTH}}{describe_budgets(self._display.budgets)}")
        latest = self._display.session[-session_lines:]
        session = (Text(f"{line.at}  {line.text}", style=line.style) for line in latest)
        return [budgets, verdict, *_pad_lines(session, session_lines)]


def _last_rows(rows: Iterable[T], count: int) -> list[T]:
    return list(rows)[-count:]


def _pad_lines(lines: Iterable[Text], count: int) -> list[Text]:
    found = list(lines)
    return found + [Text() for _ in range(count - len(found))]


def _heading_line(name: str, way: str, per_s: float, latency: Latency) -> Text:
    line = Text(f"{name:<{_NAME_WIDTH}}", style="bold")
    line.append(f"{way}   " if way else "", style="dim")
    line.append(
        f"{per_s:.0f}/s   median {format_ms(latency.median)} ms   p99 {format_ms(latency.p99)} ms", style="cyan"
    )
    return line


def _fit_cell(text: str, width: int) -> str:
    text = escape_text(text)
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


def _counts_line(heading: str, items: Iterable[tuple[str, int]], styles: dict[str, str] | None = None) -> Text:
    line = Text(f"{heading:<{_NAME_WIDTH}}")
    for name, count in items:
        line.append(f"{name} ", style="dim")
        line.append(f"{count}   ", style=(styles or {}).get(name, "bold"))
    return line
