"""Which records are void: one whose epoch is lower than that of a record before it on its topic."""

from collections.abc import Iterable, Iterator

from tests.witness.record import Record


class EpochFence:
    """Judges the records of one topic in their order."""

    def __init__(self) -> None:
        self.top = 0
        """The highest epoch so far."""

    def is_void(self, record: Record) -> bool:
        """Tell whether the next record is void, as one without an epoch is."""
        if record.epoch < self.top:
            return True
        self.top = record.epoch
        return False


def valid(records: Iterable[Record]) -> Iterator[Record]:
    """Return the records of one topic that count, in their order."""
    fence = EpochFence()
    return (record for record in records if not fence.is_void(record))


def last_of_each_key(records: Iterable[Record]) -> dict[str, Record]:
    """Return what a reader believes of each key in the end, tombstones included."""
    return {record.name: record for record in valid(records)}
