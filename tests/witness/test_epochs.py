"""Void records are passed over, and no others."""

from tests.witness.epochs import last_of_each_key, valid
from tests.witness.record import Record


def record(key: str, epoch: str, text: str | None = "1") -> Record:
    """Return a record of an owner."""
    plain = {"offset": 0, "timestamp": 0, "key": key, "headers": {"ce_epoch": epoch} if epoch else {}, "text": text}
    return Record.from_plain("orders", plain)


def test_a_lower_epoch_after_a_higher_one_is_void() -> None:
    """On whatever key; the same epoch again is not, and a record without one is."""
    records = [record(*one) for one in (("a", "1"), ("b", "2"), ("a", "1"), ("c", ""), ("a", "2"), ("a", "3"))]
    assert [records[at] for at in (0, 1, 4, 5)] == list(valid(records))


def test_the_last_record_of_a_key_counts() -> None:
    """A tombstone too, a void record not."""
    last = last_of_each_key([record("a", "1"), record("b", "2"), record("a", "2", None), record("b", "1", "2")])
    assert {"a": None, "b": "1"} == {key: one.text for key, one in last.items()}
