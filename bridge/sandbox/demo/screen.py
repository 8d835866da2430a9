"""The whole terminal, drawn line by line."""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.control import Control
from rich.segment import ControlType
from rich.text import Text


class Screen:
    """The alternate screen of a terminal. It writes only lines that have changed, so others can be selected and copied.

    A terminal drops a selection when its text is written again.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._size = console.size
        self._drawn: list[str] = []

    def __enter__(self) -> Self:
        self._console.set_alt_screen(enable=True)
        self._console.show_cursor(show=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._console.show_cursor(show=True)
        self._console.set_alt_screen(enable=False)

    def draw(self, lines: Sequence[Text]) -> None:
        """Show these lines from the top on, cut to the size of the terminal."""
        if self._size != self._console.size:
            self._size, self._drawn = self._console.size, []
            self._console.control(Control.clear())
        shown = lines[: self._size.height]
        rendered = [self._render_line(line) for line in shown]
        with self._console:  # all of it in one write
            for row, line in enumerate(shown):
                if self._drawn[row : row + 1] != [rendered[row]]:
                    self._console.control(Control.move_to(0, row), Control((ControlType.ERASE_IN_LINE, 2)))
                    self._console.print(line, end="")
        self._drawn = rendered

    def _render_line(self, line: Text) -> str:
        """Return what tells one line from another: its text and its styles; cut it to the width."""
        line.truncate(self._size.width, overflow="ellipsis")
        return f"{line.plain}|{line.style}|{line.spans}"
