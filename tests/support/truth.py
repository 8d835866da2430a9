"""Whether what a rig's daemon answered is true, by its venue's ledger."""

from typing import Any

from tests.support.rig import Rig, Topic
from tests.witness import truth
from tests.witness.ledger import Ledger
from tests.witness.venue_lines import lines_of


def lies(rig: Rig, results: Topic, commands: dict[int, dict[str, Any]]) -> list[str]:
    """Return what is untrue of the answers to commands, by offset: nothing, if all is well."""
    return truth.lies(Ledger(lines_of(rig.venue, "main")), results.as_records(), commands)
