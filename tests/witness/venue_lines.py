"""The ledger of a venue as lines of JSON, whether it runs in this process or wrote them to a file."""

import io
import json
from pathlib import Path

from bridge.sandbox.venue.venue import Venue
from tests.witness.request import Entry


def lines_of(venue: Venue, account: str = "") -> list[Entry]:
    """Return the lines of a venue in this process: all, or those that are about one account."""
    out = io.StringIO()
    venue.ledger.export(out)
    portfolio_id = venue.keys[account].portfolio_id if account else ""
    return [line for line in _read(out.getvalue()) if portfolio_id in {"", line["portfolio_id"]}]


def lines_in(path: Path) -> list[Entry]:
    """Return the lines that a venue wrote to a file."""
    return _read(path.read_text(encoding="utf-8"))


def _read(text: str) -> list[Entry]:
    return [json.loads(line) for line in text.splitlines()]
