"""A record tells what it holds, and what it does not hold."""

from dataclasses import replace

import pytest

from tests.witness.record import NO_JSON, Record

FULL = Record(
    "orders",
    "main",
    7,
    1_795_000_000_000,
    b"17",
    b'{"orderId":"17"}',
    (("ce_id", b"order:17"), ("ce_epoch", b"3"), ("ce_sequence", b"00000000000000000012"), ("ce_recovered", b"true")),
)


def test_what_a_record_tells() -> None:
    """Headers and value, as the README describes them."""
    assert (FULL.epoch, FULL.sequence, FULL.event_id) == (3, 12, "order:17")
    assert (FULL.fields, FULL.name, FULL.is_recovered, FULL.is_tombstone) == ({"orderId": "17"}, "17", True, False)


def test_what_is_missing() -> None:
    """No number is -1, no value is a tombstone, no JSON object has no fields."""
    bare = replace(FULL, key=None, value=None, headers=(("ce_epoch", "²".encode()),))
    assert (bare.epoch, bare.sequence, bare.event_id, bare.name) == (-1, -1, "", "")
    assert (bare.text, bare.fields, bare.is_recovered, bare.is_tombstone) == (None, {}, False, True)


@pytest.mark.parametrize("value", [b"{", b'{"at":1,"at":2}', b"\xff", b'{"at":NaN}', b"[" * 100_000, None])
def test_what_is_no_json(value: bytes | None) -> None:
    """A key that stands twice makes it none too."""
    assert replace(FULL, value=value).json is NO_JSON


def test_a_plain_form_and_back() -> None:
    """What is text survives."""
    for one in (FULL, replace(FULL, value=None)):
        assert one == Record.from_plain("orders", one.plain())
