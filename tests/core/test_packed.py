"""Numbers by digests: what was put is found, the rest is not, and the oldest is forgotten first."""

from hypothesis import given
from hypothesis import strategies as st

from bridge.core.packed import PackedNumbers, RecentNumbers, digest

NAMES = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 2**32 - 1)), max_size=400)


@given(NAMES)
def test_packed_numbers_are_a_dict(put: list[tuple[int, int]]) -> None:
    """Any numbers in any order; a later number takes the place of an earlier one."""
    numbers, known = PackedNumbers("I"), dict[int, int]()
    for name, number in put:
        numbers.put(digest(f"{name}"), number)
        known[name] = number
    found = {name: numbers.get(digest(f"{name}")) for name in range(70)}
    assert {name: number for name, number in found.items() if number is not None} == known
    assert numbers.count == len(known)


def test_keys_of_one_slot_are_kept_apart() -> None:
    """They share a part and a slot; the part grows."""
    keys = [1 + (n << 40) for n in range(100)]
    numbers = PackedNumbers()
    for key in keys:
        numbers.put(key, key)
    assert [numbers.get(key) for key in keys] == keys
    assert numbers.get(1 + (200 << 40)) is None


def test_a_digest_is_never_that_of_a_free_slot() -> None:
    """For any value."""
    assert digest(0) == 1
    assert 0 < digest("a") < 2**64
    assert digest(("a", "b")) == digest(("a", "b")) != digest(("b", "a"))


def test_the_oldest_are_forgotten_and_never_too_many() -> None:
    """It is known of what time something may be forgotten."""
    numbers = RecentNumbers(30, "B")
    for n in range(40):
        numbers.put(digest(f"{n}"), 1, at_ms=n ^ 1)
        assert numbers.forgotten_ms == 0
    numbers.put(digest("40"), 1, at_ms=40)
    assert numbers.forgotten_ms == 9
    assert [n for n in range(41) if numbers.get(digest(f"{n}")) is None] == [*range(10)]


@given(st.integers(1, 20), st.integers(0, 100))
def test_so_many_are_always_remembered(least: int, count: int) -> None:
    """And a third more at the most, but for the rounding."""
    numbers = RecentNumbers(least)
    for n in range(count):
        numbers.put(digest(f"{n}"), n, at_ms=n)
    found = [n for n in range(count) if numbers.get(digest(f"{n}")) == n]
    assert found[-least:] == [*range(count)][-least:]
    assert len(found) <= 4 * -(-least // 3)


def test_recent_keys_of_one_prefix_are_kept_apart() -> None:
    """One that is remembered does not make another one known."""
    numbers = RecentNumbers(3)
    numbers.put(5 << 44 | 1, 7, at_ms=1)
    assert [numbers.get(5 << 44 | n) for n in (1, 2)] == [7, None]
