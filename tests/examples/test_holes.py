"""What a reader of sequences can prove, as the example in Python proves it: any history, any loss, any clean-up."""

import importlib.util
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

_PATH = Path(__file__).parents[2] / "examples" / "python" / "desk.py"
_SPEC = importlib.util.spec_from_file_location("example_desk", _PATH)
assert _SPEC is not None
assert _SPEC.loader is not None
example: Any = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(example)

Written = list[tuple[int, int, int]]
"""Offset, epoch and sequence of each record."""


def written(history: list[int], again: set[int]) -> Written:
    """Return what owners wrote across each other, given by their epochs; at the places in `again` twice."""
    counts: dict[int, int] = {}
    log: list[tuple[int, int]] = []
    for place, epoch in enumerate(history):
        counts[epoch] = counts.get(epoch, 0) + 1
        log += [(epoch, counts[epoch])] * (2 if place in again else 1)
    return [(offset, *numbers) for offset, numbers in enumerate(log)]


def read(log: Written, stream: str) -> Any:  # noqa: ANN401 - the example's
    """Let the example read a log."""
    topic = example.Topic(stream)
    for record in log:
        topic.counts(*record)
    return topic


histories = st.lists(st.integers(1, 4), max_size=30)
places = st.sets(st.integers(0, 40))


@given(histories, places, places, st.integers(0, 30))
def test_nothing_is_called_lost_that_was_cleaned_up(
    history: list[int], again: set[int], compacted: set[int], expired: int
) -> None:
    """Owners that write across each other, repeats, compaction, retention and a late begin never look like a loss."""
    log = written(history, again)
    assert read([record for record in log if record[0] not in compacted], "orders").lost == 0
    assert read(log[expired:], "trades").lost == 0


@given(histories, places)
def test_every_loss_is_found(history: list[int], missing: set[int]) -> None:
    """What a later record of its epoch proves missing is lost; before the first one only while offset 0 is there."""
    kept = [record for record in written(history, set()) if record[0] not in missing]
    numbers = [[sequence for _, epoch, sequence in kept if epoch == wanted] for wanted in {one[1] for one in kept}]
    between = sum(found[-1] - found[0] + 1 - len(found) for found in numbers)
    before = sum(found[0] - 1 for found in numbers)
    whole = bool(kept) and kept[0][0] == 0
    topic = read(kept, "trades")
    assert ((between + before, 0) if whole else (between, before)) == (topic.lost, topic.gone)
