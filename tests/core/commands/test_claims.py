"""Claims: the committed offset and its metadata."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from bridge.contract.headers import EPOCH_MAX
from bridge.core.commands.claims import METADATA_BYTES_MAX, Claims, CommitMetadata, Origin, decode, encode

_numbers = st.integers(0, 10**18 - 1)


@given(
    watermark=st.integers(0, 1 << 62),
    steps=st.lists(st.integers(1, 1 << 40), max_size=40),
    epoch=st.integers(0, EPOCH_MAX),
    durable_until_ms=_numbers,
    claims_lost_below=_numbers,
    released=st.booleans(),
    read_to=st.none() | _numbers,
)
def test_what_is_written_is_read(
    watermark: int,
    steps: list[int],
    epoch: int,
    durable_until_ms: int,
    claims_lost_below: int,
    *,
    released: bool,
    read_to: int | None,
) -> None:
    """Any set of claims at or above the committed offset comes back unchanged."""
    claimed = tuple(watermark - 1 + sum(steps[: count + 1]) for count in range(len(steps)))
    stored = CommitMetadata(epoch, durable_until_ms, claimed, claims_lost_below, released, read_to)
    assert stored == decode(encode(stored, watermark), watermark)


def test_a_thousand_claims_fit() -> None:
    """The largest number of claims fits, even if they spread over two million commands."""
    claimed = tuple(range(10**12, 10**12 + 2_000_000, 2000))
    assert len(claimed) == 1000
    metadata = encode(CommitMetadata(10**9, 1_795_000_000_000, claimed), 10**12 - 1_000_000)
    assert len(metadata.encode()) <= METADATA_BYTES_MAX
    assert decode(metadata, 10**12 - 1_000_000) == CommitMetadata(10**9, 1_795_000_000_000, claimed)


def test_counts_of_extra_requests_fit_beside_the_claims() -> None:
    """Twelve hundred claims, and for each second of three minutes a count of extra cancels."""
    extra = tuple((second, 9) for second in range(1, 181))
    stored = CommitMetadata(
        10**9, 1_795_000_000_000, tuple(range(1200)), origin=Origin("production", "f" * 12, "t" * 22)
    )
    metadata = encode(structs.replace(stored, extra_cancels=extra), 0)
    assert len(metadata.encode()) <= METADATA_BYTES_MAX - 512
    assert decode(metadata, 0) == structs.replace(stored, extra_cancels=extra)


@pytest.mark.parametrize(
    "metadata",
    [
        "",
        "x",
        "ltpb1",
        "ltpb1::::",
        "ltpb1:1:2:3:0",
        "ltpb1:1:2:3:AA",
        "ltpb1:1:2:3:0:AA:",
        "ltpb2:1:2:3:0:AA",
        "ltpb1:-1:2:3:0:AA",
        "ltpb1:1:2:3:2:AA",
        "ltpb1:1:2:3:0:AA\n",
        "ltpb1:\uff11:2:3:0:AA",
        "ltpb1:" + "9" * 5000 + ":2:3:0:AA",
        "ltpb1:1:2:3:0:A",
        "ltpb1:1:2:3:0:A=A=",
        "ltpb1:1:2:3:0:+/AA",
        "ltpb1:1:2:3:0:gA",
        "ltpb2:1:2:3:0:0:5::::AQEB:AA",
        "ltpb2:1:2:3:0:0:5::::gA:AA",
        "ltpb2:1:2:3:0:0:5:::::gA",
        "ltpb2:1:2:3:0:0:6:::::AA",
        "ltpb2:1:2:3:0:0:5:::::gICAgICAgICAAQ",
        "ltpb2:1:2:3:0:0:5::::gICAgICAgICAAQE:AA",
    ],
)
def test_what_we_did_not_write_is_not_read(metadata: str) -> None:
    """The text of a tool, a cut text, and one with a number that no offset can be are not read."""
    assert decode("ltpb2:1:2:3:0::5::::AQE:AA", 5) == CommitMetadata(1, 2, (5,), 3, extra_cancels=((1, 1),))
    assert decode(metadata, 5) is None


@given(st.text(max_size=60) | st.from_regex(r"ltpb1:[0-9]{1,3}:[0-9]{1,3}:[0-9]{1,3}:[A-Za-z0-9_\-=]{0,9}"))
def test_reading_never_raises_and_never_invents(metadata: str) -> None:
    """Any text is refused, or its claims are at or above the committed offset."""
    stored = decode(metadata, 7)
    assert stored is None or all(offset >= 7 for offset in stored.claimed)


@given(st.lists(st.tuples(st.integers(0, 19), st.booleans()), max_size=60))
def test_the_watermark_never_passes_an_open_offset(steps: list[tuple[int, bool]]) -> None:
    """In any order of durable results, the committable offset is the lowest one without a durable result."""
    claims = Claims(0)
    unanswered: set[int] = set()
    for offset, (which, answered_before) in enumerate(steps):
        if answered_before:
            claims.mark_skipped(offset)
        else:
            claims.mark_read(offset)
            unanswered.add(offset)
        if which <= offset:
            claims.mark_answered(which)
            unanswered.discard(which)
        assert min(unanswered, default=offset + 1) == claims.committable_offset


def test_a_durable_answer_ends_its_claim() -> None:
    """An answered offset is neither open nor claimed; the metadata has the newly claimed ones too."""
    claims = Claims(4)
    for offset in (4, 5, 6):
        claims.mark_read(offset)
    claims.claimed.update({4, 5})
    claims.mark_answered(4)
    assert claims.build_metadata(3, 99, [6]) == CommitMetadata(3, 99, (5, 6))
    assert claims.committable_offset == 5


def test_lost_claims_are_carried_until_the_watermark_has_passed_them() -> None:
    """While an offset below the mark is open, the commit has the mark, and only the claims above it."""
    claims = Claims(4, claims_lost_below=6)
    for offset in (4, 5, 6, 7):
        claims.mark_read(offset)
    claims.claimed.update({4, 5, 7})
    assert claims.build_metadata(3, 0) == CommitMetadata(3, 0, (7,), claims_lost_below=6)
    claims.mark_answered(4)
    claims.mark_answered(5)
    assert claims.build_metadata(3, 0) == CommitMetadata(3, 0, (7,))


ORIGIN = Origin("a" * 63, "0123456789ab", "T" * 22)


def test_a_commit_names_what_it_is_about() -> None:
    """Offset, topic, environment and key come back; at another offset, where a mirror puts it, it is not read."""
    stored = CommitMetadata(7, 1, (100, 103), origin=ORIGIN)
    metadata = encode(stored, 100)
    assert stored == decode(metadata, 100)
    assert decode(metadata, 97) is None
    claims = Claims(100, origin=ORIGIN)
    assert claims.build_metadata(7, 1).origin == ORIGIN


def test_a_commit_of_the_version_before_is_read() -> None:
    """A rolling update needs it; its origin is unknown, which contradicts nothing."""
    assert CommitMetadata(6, 5, (4, 6), 3, released=True) == decode("ltpb1:6:5:3:1:AAI", 4)


def test_a_thousand_claims_fit_with_the_longest_names() -> None:
    """4,096 bytes are all that a broker takes by default."""
    claimed = tuple(range(10**12, 10**12 + 2_000_000, 2000))
    stored = CommitMetadata(10**15, 1_795_000_000_000, claimed, 10**12, origin=ORIGIN)
    assert len(encode(stored, 10**12 - 1_000_000).encode()) <= METADATA_BYTES_MAX
