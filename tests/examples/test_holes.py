"""What a reader of sequences can prove, as the example in Python proves it: any history, any loss, any clean-up."""

import importlib.util
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st

_PATH = Path(__file__).parents[2] / "examples" / "python" / "desk.py"
_SPEC = importlib.util.spec_from_file_location("example_desk", _PATH)
assert _SPEC is not None
assert _SPEC.loader is not None
example: Any = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(example)


class Record(NamedTuple):
    """One record as a Kafka client hands it over, as far as the counting looks at it."""

    offset: int
    headers: tuple[tuple[str, bytes], ...]


def written(history: list[int], again: set[int]) -> list[tuple[int, int]]:
    """Return epoch and sequence of what owners wrote one after the other; at the places in `again` twice."""
    counts: dict[int, int] = {}
    log = []
    for place, epoch in enumerate(history):
        counts[epoch] = counts.get(epoch, 0) + 1
        log += [(epoch, counts[epoch])] * (2 if place in again else 1)
    return log


def read(log: list[tuple[int, int] | None], *, compacted: bool) -> Any:  # noqa: ANN401 - the example's
    """Let the example read a log; where it has None, an offset is absent."""
    topic = example.Topic("stream", "type", compacted=compacted)
    for offset, found in enumerate(log):
        if found is not None:
            epoch, sequence = found
            texts = {"ce_epoch": str(epoch), "ce_sequence": f"{sequence:020}", "ce_type": "type"}
            topic.take(Record(offset, tuple((name, text.encode()) for name, text in texts.items())))
    return topic


histories = st.lists(st.integers(1, 4), max_size=30)
places = st.sets(st.integers(0, 40))


@given(histories, places, places, st.integers(0, 30))
def test_nothing_is_called_lost_that_was_cleaned_up(
    history: list[int], again: set[int], compacted: set[int], expired: int
) -> None:
    """Owners that write across each other, repeats, compaction, retention and a late begin never look like a hole."""
    log = written(history, again)
    left = [None if place in compacted or place < expired else found for place, found in enumerate(log)]
    assert read(left, compacted=True).holes == 0
    cut = [None if place < expired else found for place, found in enumerate(log)]
    assert read(cut, compacted=False).holes == 0


@given(histories, places)
def test_every_loss_is_found(history: list[int], lost: set[int]) -> None:
    """Where nothing was cleaned up, each run of missing numbers that a later one of its epoch follows is a hole."""
    log = written(history, set())
    kept = [found for place, found in enumerate(log) if place not in lost]
    topics = [read(list(kept), compacted=compacted) for compacted in (False, True)]
    last = dict(kept)
    missing = sorted(found for found in log if found not in kept and found[1] < last.get(found[0], 0))
    runs = [list(run) for _, run in groupby(enumerate(missing), lambda one: (one[1][0], one[1][1] - one[0]))]
    assert [(len(runs), 0)] * 2 == [(topic.holes, topic.gone) for topic in topics]
