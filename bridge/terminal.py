"""The only way to a terminal for what others wrote: venue, brokers, callers, and the names in files.

A terminal obeys control characters and hides others; rich obeys markup. Whoever prints goes through here.
"""

import io
import sys
import traceback
from collections.abc import Iterable
from types import TracebackType
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment


def escape_text(text: str) -> str:
    """Return text on one line, with everything escaped that a terminal would not simply show."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)


def escape_lines(text: str) -> str:
    """Return text with its own line ends, each line escaped."""
    return "\n".join(escape_text(line) for line in text.split("\n"))


class EscapingConsole(Console):
    """A console of rich that reads no markup in what it prints, and escapes it."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - rich's own
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render as rich does; only rich's own control codes stay as they are."""
        for segment in super().render(renderable, options):
            if segment.control is None and not segment.text.isprintable():
                yield Segment(escape_lines(segment.text), segment.style)
            else:
                yield segment


def print_exception(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print what nobody caught, in the place of `sys.excepthook`."""
    told = io.StringIO()
    traceback.print_exception(kind, error, trace, file=told)
    sys.stderr.write(escape_lines(told.getvalue()))
