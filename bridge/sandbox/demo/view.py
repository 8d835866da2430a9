"""The demo's output where it is no terminal: one line a second, and one for each session event."""

import asyncio
import time
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console

from bridge.sandbox.demo.display_model import DisplayModel, describe_budgets, format_ms, format_time

_FIGURES_PERIOD_S = 1.0
_POLL_S = 0.1


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
    """Prints one line a second, and each session event when it comes."""

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
        due_s = time.monotonic() + _FIGURES_PERIOD_S
        while True:
            await asyncio.sleep(_POLL_S)
            self._print_session_lines()
            if time.monotonic() >= due_s:
                self._print_figures()
                due_s += _FIGURES_PERIOD_S

    def _print_session_lines(self) -> None:
        for line in self._display.session[self._printed_lines :]:
            self._console.out(f"{line.at}  {line.text}", style=line.style or None)
        self._printed_lines = len(self._display.session)

    def _print_figures(self) -> None:
        figures = self._display.measure()
        push_ms, command_ms = (format_ms(one.median) for one in (figures.push_latency, figures.command_latency))
        parts = (
            f"pushes {figures.pushes}, {figures.pushes_per_s:.0f}/s, median {push_ms} ms",
            f"commands {figures.commands}, {figures.commands_per_s:.0f}/s, median {command_ms} ms",
            f"budget used {describe_budgets(self._display.fullest_budget)}",
            figures.verdict,
        )
        self._console.out(f"{format_time(time.time() * 1000)}  {' · '.join(parts)}")
