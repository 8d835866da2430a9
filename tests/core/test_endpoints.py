"""Which endpoint is tried, and when the preferred one is gone back to."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bridge.core.endpoints import EndpointSelector
from bridge.core.now import Now


def at(mono: float) -> Now:
    """Return an instant."""
    return Now(mono, 0)


def choice(count: int = 2) -> EndpointSelector:
    """Return the choice among so many endpoints, with the default settings."""
    return EndpointSelector(count, failover_after_s=10, failback_stable_s=600, failback_period_s=900)


def moved() -> EndpointSelector:
    """Return a choice that two failures have moved to the second endpoint at 1 s."""
    ends = choice()
    for second in (0, 1):
        ends.attempt(at(second))
        ends.failed(at(second))
    return ends


def probe(ends: EndpointSelector, second: float, *, good: bool) -> bool:
    """Probe, and be answered at once."""
    return ends.probed(at(second), at(second), good=good)


def probe_until(ends: EndpointSelector, begin: float, end: float) -> list[float]:
    """Probe with success every minute, and return when it said to go back."""
    seconds = range(int(begin), int(end) + 1, 60)
    return [second for second in seconds if probe(ends, second, good=True)]


def test_two_failures_in_a_row_move_on_and_round() -> None:
    """The first failure does not, the second does; and after the last endpoint comes the first."""
    ends = choice()
    ends.attempt(at(0))
    assert (ends.failed(at(0)), ends.current) == (False, 0)
    assert (ends.failed(at(1)), ends.current) == (True, 1)
    assert (ends.failed(at(2)), ends.current) == (False, 1)
    assert (ends.failed(at(3)), ends.current) == (True, 0)


def test_all_endpoints_have_their_turn_within_the_time_of_a_fail_over() -> None:
    """An attempt that gets no answer is given up when its endpoint's share is over, counted from the loss."""
    ends = choice(2)
    ends.lost(100, at(0))
    assert ends.attempt(at(0.5)) == 5
    assert ends.failed(at(5))
    assert ends.attempt(at(5)) == 10
    assert ends.current == 1


def test_a_turn_that_is_over_before_its_attempt_moves_on() -> None:
    """A wait that outlasts the turn costs the endpoint its attempt, not the account its session."""
    ends = choice(3)
    ends.lost(100, at(0))
    ends.attempt(at(1))
    ends.failed(at(1))
    assert ends.attempt(at(4)) == 4 + 10 / 3
    assert ends.current == 1


def test_the_first_turn_begins_with_the_first_attempt() -> None:
    """What passed while no session was sought does not count."""
    ends = choice()
    ends.lost(100, at(0))
    ends.resume()
    assert ends.attempt(at(1000)) == 1005
    assert ends.current == 0


def test_a_refused_login_moves_nothing() -> None:
    """However many are refused, over however long a time, the endpoint stays: it answered."""
    ends = choice()
    for second in range(0, 100, 4):
        assert ends.attempt(at(second)) == second + 5
        ends.refused()
    assert ends.current == 0


def test_failures_before_a_pause_count_after_it() -> None:
    """A term that ended by a mistake at an endpoint is one; after the second the next term begins at the other."""
    ends = choice()
    for second in (0, 100):
        ends.resume()
        ends.attempt(at(second))
        ends.failed(at(second))
    assert ends.current == 1


def test_each_endpoint_is_left_alone_for_as_long_as_it_asked() -> None:
    """And no other for its sake."""
    ends = choice()
    ends.hold_off(30, at(5))
    assert ends.free_at == 35
    ends.failed(at(5))
    ends.failed(at(5))
    assert ends.free_at == float("-inf")


def test_sessions_that_do_not_live_are_failures() -> None:
    """An endpoint that accepts logins and drops them is left; one session that lived for longer is forgiven."""
    ends = choice()
    ends.lost(1, at(0))
    ends.lost(10, at(20))
    ends.lost(1, at(30))
    assert ends.current == 0
    ends.lost(9, at(40))
    assert ends.current == 1


def test_a_single_endpoint_stays_and_has_all_the_time() -> None:
    """With nowhere else to go nothing is given up early, and a failure earns its wait."""
    ends = choice(1)
    for second in range(0, 100, 10):
        assert ends.attempt(at(second)) == float("inf")
        assert not ends.failed(at(second))
        ends.lost(1, at(second))
    assert ends.current == 0


def test_going_back_takes_the_whole_stable_time() -> None:
    """Probes are good for 600 s before it is time; a failed one begins the count again."""
    ends = moved()
    assert ends.probe_period_s == 60
    assert probe_until(ends, 60, 600) == []
    assert not probe(ends, 660, good=False)
    assert probe_until(ends, 720, 1260) == []
    assert probe(ends, 1320, good=True)


def test_probes_too_far_apart_do_not_add_up() -> None:
    """What nobody looked at for more than two periods may have been down."""
    ends = moved()
    assert probe_until(ends, 60, 600) == []
    assert probe_until(ends, 721, 1300) == []
    assert probe(ends, 1321, good=True)


def test_a_slow_answer_breaks_nothing() -> None:
    """What counts is for how long nobody asked, not how long the answer took."""
    ends = moved()
    asked = [100.0 * number for number in range(8)]
    assert [ends.probed(at(when), at(when + 90), good=True) for when in asked] == [False] * 6 + [True] * 2


def test_another_fail_over_begins_the_count_again() -> None:
    """Good probes from before the preferred endpoint was tried once more, and failed, are worth nothing."""
    ends = moved()
    assert probe_until(ends, 60, 600) == []
    for second in (601, 602, 603, 604):
        ends.failed(at(second))
    assert ends.current == 1
    assert probe_until(ends, 610, 1209) == []
    assert probe(ends, 1210, good=True)


def test_between_two_returns_lies_the_period() -> None:
    """An endpoint that fails as soon as it is gone back to is gone back to 900 s later at the earliest."""
    ends = moved()
    probe_until(ends, 60, 660)
    ends.fail_back(at(660))
    assert ends.current == 0
    assert ends.attempt(at(660)) == 665
    ends.failed(at(661))
    assert ends.failed(at(662))
    assert min(probe_until(ends, 700, 2000)) == 1600


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 10)), max_size=30))
def test_whatever_flaps_going_back_is_rare(phases: list[tuple[int, int]]) -> None:
    """However long the preferred endpoint is up and down, in minutes: it is up for 600 s before it is gone back to.

    And two returns are 900 s apart.
    """
    ends, down_at, returns = moved(), 0, [-900]
    probes = [good for up, down in phases for good in [True] * up + [False] * down]
    for minute, good in enumerate(probes, 1):
        now = at(minute * 60)
        if not good:
            down_at = minute * 60
        if ends.current == 0 and not good:
            ends.lost(1000, now)
            ends.failed(now)
            assert ends.failed(now)
        elif ends.current == 1 and ends.probed(now, now, good=good):
            ends.fail_back(now)
            assert now.boot_s >= down_at + 600
            assert now.boot_s >= returns[-1] + 900
            returns.append(minute * 60)


def _return_at(ends: EndpointSelector, begin: float) -> float:
    """Probe with success until it says to go back; go back then."""
    second = begin
    while not probe(ends, second, good=True):
        second += 60
    ends.fail_back(at(second))
    return second


def test_a_return_whose_login_is_refused_is_left_at_once_and_made_ever_more_seldom() -> None:
    """The other endpoint took the same key a moment ago. The wait doubles, up to 32 times what is set."""
    ends = moved()
    returned_at = [_return_at(ends, 60)]
    for _ in range(8):
        now = returned_at[-1] + 1
        assert ends.is_returning
        promised_s = ends.next_return_s
        assert (ends.return_refused(at(now)), ends.current, ends.is_returning) == (True, 1, False)
        returned_at.append(_return_at(ends, now))
        assert returned_at[-1] - returned_at[-2] >= promised_s
    waits = [later - earlier for earlier, later in pairwise(returned_at)]
    assert [900 * 2**n <= wait < 900 * 2**n + 60 for n, wait in enumerate(waits[:5], 1)] == [True] * 5
    assert waits[5] < waits[4] + 60
    assert waits[7] < 32 * 900 + 60


def test_a_login_that_is_accepted_forgets_the_returns_that_were_refused() -> None:
    """Only what comes after it counts."""
    ends = moved()
    returned_at = _return_at(ends, 60)
    ends.return_refused(at(returned_at))
    assert ends.next_return_s == 3600
    returned_at = _return_at(ends, returned_at)
    ends.lost(1000, at(returned_at + 1000))
    now = at(returned_at + 1001)
    assert (ends.is_returning, ends.return_refused(now), ends.next_return_s) == (False, False, 1800)
