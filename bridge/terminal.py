"""Escape for a terminal what others wrote: the venue, brokers, callers, and the authors of files.

A terminal obeys some control characters and hides others; rich obeys markup. All output to a terminal uses this module.
"""

import io
import sys
import threading
import traceback
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Final

import click
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment


def escape_text(text: str) -> str:
    """Return text on one line; every character that a terminal would not show as it is becomes an escape sequence."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)


def escape_lines(text: str) -> str:
    """Return text with its line ends unchanged and each line escaped."""
    return "\n".join(escape_text(line) for line in text.split("\n"))


class EscapingConsole(Console):
    """A console of rich that escapes what it prints and interprets no markup."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - rich's own
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render as rich does, and escape everything but rich's own control codes."""
        for segment in super().render(renderable, options):
            if segment.control is None and not segment.text.isprintable():
                yield Segment(escape_lines(segment.text), segment.style)
            else:
                yield segment


class EscapedFailure(click.ClickException):
    """An error of the command line. Files, brokers and the venue may have written parts of its text."""

    def format_message(self) -> str:
        """Return the text, escaped for a terminal."""
        return escape_lines(self.message)


_ERROR_CHARS_MAX: Final = 64 * 1024


def print_exception(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print an uncaught exception, escaped and bounded; of one that is too long the end says what it was."""
    text = io.StringIO()
    traceback.print_exception(kind, error, trace, file=text)
    sys.stderr.write(escape_lines(text.getvalue()[-_ERROR_CHARS_MAX:]))


def escape_background_exceptions() -> None:
    """Print an uncaught exception of a thread, and one that Python cannot raise, as `print_exception` does."""
    threading.excepthook = lambda ended: print_exception(
        ended.exc_type, ended.exc_value or ended.exc_type(), ended.exc_traceback
    )
    sys.unraisablehook = lambda lost: print_exception(
        lost.exc_type, lost.exc_value or lost.exc_type(), lost.exc_traceback
    )
