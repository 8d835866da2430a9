"""The rate limiter against a venue that counts at the worst moments.

Times are multiples of half a second, so that boundaries are met exactly and no rounding hides them.
"""

from heapq import heappop, heappush

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample
from msgspec import Struct

from bridge.core.ack_window import WINDOW_S, AckWindow

_SLOTS = 3
_LATE_S = 120.0


class Request(Struct, frozen=True):
    """One request: pauses in s before it, up to its write, its count at the venue and its ack (None: lost)."""

    pause: float
    hold: float
    path: float
    back: float | None
    new_owner: bool = False


def _halves(*boundaries: float) -> st.SearchStrategy[float]:
    return st.sampled_from(boundaries) | st.integers(0, 40).map(lambda n: n / 2)


REQUESTS = st.lists(
    st.builds(
        Request,
        pause=_halves(0.0, 0.0, 0.0, 59.5, 60.0, 60.5, 120.0),
        hold=_halves(0.0, 0.0, 0.5, 60.0),
        path=_halves(0.0, 0.0, 59.5, 60.0, 119.5, _LATE_S),
        back=st.none() | _halves(0.0, 0.0, 60.0, 60.5, 130.0),
        new_owner=st.integers(0, 9).map(lambda n: n == 0),
    ),
    max_size=4 * _SLOTS,
)


class FromTheWrite(AckWindow):
    """A planted mistake: the slot cools from the write instead of the ack."""

    def acknowledge(self, token: object, now: float) -> None:
        """Cool from the write."""
        super().acknowledge(token, self._live.get(token, now))


class NoLateLanding(AckWindow):
    """A planted mistake: what was never acked cools from its write at once."""

    def __init__(self, slots: int, *, late_landing_s: float) -> None:
        super().__init__(slots, late_landing_s=0)


def counted(requests: list[Request], kind: type[AckWindow] = AckWindow) -> list[float]:
    """Send as soon as the window lets us; return when the venue counted each request."""
    window, now = kind(_SLOTS, late_landing_s=_LATE_S), 0.0
    acks: list[tuple[float, int]] = []
    acked: dict[int, float] = {}
    at_venue: list[float] = []

    def let_acks_arrive() -> None:
        while acks and acks[0][0] <= now:
            at, token = heappop(acks)
            acked[token] = at
            window.acknowledge(token, at)

    for token, request in enumerate(requests):
        now += request.pause
        let_acks_arrive()
        if request.new_owner:
            window = kind(_SLOTS, late_landing_s=_LATE_S)
            for at in acked.values():
                window.restore_acked(at + 1, now)
            for other in set(range(token)) - acked.keys():
                window.restore_unanswered(other, now, now)
        while not window.acquire(token, now):
            free_at = window.next_free_boot_s(now)
            assert free_at > now
            now = min([free_at, *(at for at, _ in acks[:1])])
            let_acks_arrive()
        now += request.hold
        let_acks_arrive()
        window.mark_written(token, now)
        at_venue.append(now + request.path)
        if request.back is not None:
            heappush(acks, (at_venue[-1] + request.back, token))
    return sorted(at_venue)


def most_in_any_window(times: list[float]) -> int:
    """Count as a sliding log does that still holds what is exactly 60 s old; fixed windows can only see less."""
    return max((sum(1 for other in times if 0 <= time - other <= 60) for time in times), default=0)


def refused_by_a_token_bucket(times: list[float]) -> int:
    """Count as a bucket of N does that is filled with N in 60 s."""
    tokens, before, refused = float(_SLOTS), 0.0, 0
    for time in times:
        tokens, before = min(_SLOTS, tokens + (time - before) * _SLOTS / 60), time
        if tokens >= 1 - 1e-9:
            tokens -= 1
        else:
            refused += 1
    return refused


@settings(max_examples=400, deadline=None)
@given(REQUESTS, st.sampled_from([0.995, 1.0, 1.005]))
def test_no_venue_ever_counts_more_than_the_slots(requests: list[Request], drift: float) -> None:
    """Fixed window, sliding window or token bucket, on a clock that drifts: delays and lost acks change nothing."""
    times = [time * drift for time in counted(requests)]
    assert most_in_any_window(times) <= _SLOTS
    assert refused_by_a_token_bucket(times) == 0
    for start in times:
        assert sum(1 for time in times if start <= time < start + 60) <= _SLOTS


def _is_caught(kind: type[AckWindow]) -> bool:
    wanted = settings(
        max_examples=1000,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    try:
        find(REQUESTS, lambda requests: most_in_any_window(counted(requests, kind)) > _SLOTS, settings=wanted)
    except NoSuchExample:
        return False
    return True


@pytest.mark.parametrize("kind", [FromTheWrite, NoLateLanding])
def test_the_same_requests_catch_a_window_that_begins_too_early(kind: type[AckWindow]) -> None:
    """A window from the write, or one that forgets a lost ack too soon, is found out."""
    assert _is_caught(kind)


class ExactlyAMinute(AckWindow):
    """Without the half second beyond the minute."""

    def __init__(self, slots: int, *, late_landing_s: float) -> None:
        super().__init__(slots, late_landing_s=late_landing_s, cool_s=60)


def test_the_same_requests_catch_a_window_of_exactly_a_minute() -> None:
    """The half second beyond the minute is needed, and the test meets that boundary."""
    assert _is_caught(ExactlyAMinute)


def test_a_slot_is_free_a_window_after_its_ack_and_not_before() -> None:
    """The boundary itself: at 60.5 s the slot is free."""
    window = AckWindow(1, late_landing_s=_LATE_S)
    assert window.acquire("a", 0)
    window.acknowledge("a", 7)
    window.acknowledge("a", 9)
    assert window.next_free_boot_s(10) == 7 + WINDOW_S
    assert not window.acquire("b", 7 + WINDOW_S - 0.001)
    assert window.acquire("b", 7 + WINDOW_S)


def test_a_lost_ack_holds_its_slot_until_it_can_no_longer_land() -> None:
    """Without an ack the slot comes free after the late landing and a window; an ack after that changes nothing."""
    window = AckWindow(1, late_landing_s=_LATE_S)
    window.acquire("a", 0)
    window.mark_written("a", 3)
    free_at = 3 + _LATE_S + WINDOW_S
    assert window.next_free_boot_s(4) == free_at
    assert not window.acquire("b", free_at - 0.5)
    assert window.acquire("b", free_at)
    window.acknowledge("a", free_at)
    window.mark_written("a", free_at)
    assert not window.acquire("c", free_at)


def test_what_was_not_written_gives_its_slot_back() -> None:
    """A slot that was taken for nothing is free at once."""
    window = AckWindow(1, late_landing_s=_LATE_S)
    window.acquire("a", 0)
    window.release("a")
    window.release("a")
    assert window.next_free_boot_s(0) == 0
    assert window.acquire("b", 0)


def test_a_burst_of_refusals_halves_once_and_clean_windows_give_back() -> None:
    """An eighth of all comes back after each window without a refusal; one that is refused meanwhile starts it anew."""
    window = AckWindow(16, late_landing_s=_LATE_S)
    assert [window.halve_limit(0), window.halve_limit(1), window.slots] == [True, False, 8]
    assert not window.restore_limit(1 + WINDOW_S - 0.5)
    grown = []
    for step in range(1, 7):
        whole = window.restore_limit(1 + step * WINDOW_S)
        grown.append((window.slots, whole))
    assert grown == [(10, False), (12, False), (14, False), (16, True), (16, False), (16, False)]


def test_refusals_in_another_window_halve_again_and_leave_one() -> None:
    """A venue that goes on refusing is asked ever less often, and never not at all."""
    window = AckWindow(7, late_landing_s=_LATE_S)
    assert [window.halve_limit(n * WINDOW_S) for n in range(4)] == [True] * 4
    assert window.slots == 1
    assert not window.restore_limit(3 * WINDOW_S)


def test_the_estimate_counts_those_before() -> None:
    """The estimate of a free slot counts the acks, and whole rounds after them."""
    window = AckWindow(2, late_landing_s=_LATE_S)
    assert window.estimate_free_boot_s(1, 0) == 0
    window.acquire("a", 0)
    window.acknowledge("a", 1)
    assert window.estimate_free_boot_s(0, 5) == 5
    assert window.estimate_free_boot_s(1, 5) == 1 + WINDOW_S
    assert window.estimate_free_boot_s(2, 5) == 5 + WINDOW_S
    assert window.estimate_free_boot_s(3, 5) == 1 + 2 * WINDOW_S


def test_a_restored_ack_ahead_of_our_clock_keeps_the_order_of_release() -> None:
    """An ack that follows a restored one with a later time does not come free before it."""
    window = AckWindow(2, late_landing_s=_LATE_S)
    assert window.restore_acked(10.0, 0)
    window.acquire("a", 5)
    window.acknowledge("a", 6)
    assert not window.acquire("b", 10 + WINDOW_S - 0.5)
    assert window.acquire("b", 10 + WINDOW_S)
    assert window.acquire("c", 10 + WINDOW_S)
