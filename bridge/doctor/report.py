"""Shows findings: as lines for people, or all of them as one JSON document."""

import json
from datetime import UTC, datetime
from typing import Final

from msgspec import structs
from rich.text import Text

from bridge import __version__
from bridge.core.now import Now
from bridge.doctor.findings import Finding, Findings, Level
from bridge.terminal import EscapingConsole, escape_text

_STYLES: Final = {Level.OK: "green", Level.NOTE: "yellow", Level.WRONG: "red"}
_WIDTH: Final = 200
"""Columns, on a narrow terminal too: a figure or an address that is cut off is worse than a line that wraps."""
_INDENT: Final = 6


class Printer:
    """Prints each finding as a line with its mark, and the remedy below it."""

    def __init__(self) -> None:
        self._console = EscapingConsole(soft_wrap=True, width=_WIDTH)

    def print_finding(self, finding: Finding) -> None:
        """Print one finding; line ends in its texts are escaped, so no line looks like two."""
        mark = (f"{finding.level:<{_INDENT}}", _STYLES[finding.level])
        text = escape_text(f"{finding.subject}: {finding.found}")
        self._console.print(Text.assemble(mark, (finding.id, "bold"), " ", text))
        if finding.remedy:
            self._console.print(" " * _INDENT + escape_text(finding.remedy))

    def print_counts(self, findings: Findings) -> None:
        """Print how many findings of each level there are."""
        counts = ", ".join(f"{findings.count(level)} {level}" for level in reversed(Level))
        self._console.print(counts)


def write_json(findings: Findings, now: Now) -> str:
    """Return all findings as one JSON document in ASCII, on one line."""
    document = {
        "version": __version__,
        "when": datetime.fromtimestamp(now.wall_ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "counts": {level.value: findings.count(level) for level in Level},
        "findings": [structs.asdict(one) for one in findings.all],
    }
    return json.dumps(document)
