"""The output of `tail` and `trace`: coloured lines on a terminal, plain ones elsewhere, or JSON; all of it escaped."""

from typing import TextIO

from rich.text import Text

from bridge.inspect.contents import Content
from bridge.inspect.json_lines import format_json_line
from bridge.inspect.lines import describe_record, style_of
from bridge.inspect.points import format_point
from bridge.inspect.seen_record import SeenRecord
from bridge.terminal import EscapingConsole, escape_text

_PLACE_CHARS = 18
"""As wide as most places are; a longer one moves its line."""


class LinePrinter:
    """Prints records and texts, one line each, and keeps plain lines until `flush`."""

    def __init__(self, out: TextIO, *, as_json: bool) -> None:
        self._out = out
        self._as_json = as_json
        self._console = EscapingConsole(file=out, soft_wrap=True) if out.isatty() and not as_json else None
        self._lines: list[str] = []

    def print_record(self, record: SeenRecord, content: Content | None) -> None:
        """Print a record with its time, place and marks."""
        if self._as_json:
            self._lines.append(format_json_line(record))
            return
        marks = "".join(f"[{mark}] " for mark in record.marks)
        what = marks + describe_record(record, content)
        self.print_columns(format_point(record.timestamp_ms), record.place, what, style_of(record, content))

    def print_columns(self, when: str, place: str, what: str, style: str = "") -> None:
        """Print a line of three columns."""
        place = place.ljust(_PLACE_CHARS)
        if self._console is None:
            self._lines.append(escape_text(f"{when}  {place}  {what}"))
        else:
            parts = (escape_text(when), "dim"), "  ", (escape_text(place), "cyan"), "  ", (escape_text(what), style)
            self._console.print(Text.assemble(*parts))

    def print_text(self, text: str) -> None:
        """Print a line as it is, but for what a terminal would obey."""
        if self._console is None:
            self._lines.append(escape_text(text))
        else:
            self._console.print(Text(escape_text(text), style="bold"))

    def flush(self) -> None:
        """Write the lines that were kept. Raises BrokenPipeError when nobody reads them any more."""
        if self._lines:
            self._lines.append("")
            text, self._lines = "\n".join(self._lines), []
            self._out.write(text)
        self._out.flush()
