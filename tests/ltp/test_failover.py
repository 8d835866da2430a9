"""The selection of endpoints, and the return to the preferred one."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bridge.config import Endpoint, Timing
from bridge.core.now import Now
from bridge.ltp.failover import EndpointSelector


def at(boot_s: float) -> Now:
    """Return an instant."""
    return Now(boot_s, 0)


def make_selector(count: int = 2) -> EndpointSelector:
    """Return a selector of this many endpoints, with the default settings."""
    endpoints = [
        Endpoint(name=f"E{n}", ws_url=f"wss://e{n}.test/v1/private", rest_url=f"https://e{n}.test")
        for n in range(count)
    ]
    return EndpointSelector(endpoints, Timing())


def failed_over_selector() -> EndpointSelector:
    """Return a selector whose second endpoint is current, after two failures at 0 s and 1 s."""
    selector = make_selector()
    for second in (0, 1):
        selector.begin_attempt(at(second))
        selector.note_failed_attempt(at(second))
    return selector


def probe(selector: EndpointSelector, second: float, *, good: bool) -> bool:
    """Note a probe that is answered at once."""
    return selector.note_probe(at(second), at(second), healthy=good)


def probe_until(selector: EndpointSelector, begin: float, end: float) -> list[float]:
    """Note a healthy probe every minute, and return the times at which the session may return."""
    seconds = range(int(begin), int(end) + 1, 60)
    return [second for second in seconds if probe(selector, second, good=True)]


def test_two_failures_in_a_row_select_the_next_endpoint() -> None:
    """The second failure in a row selects the next endpoint; after the last one comes the first."""
    selector = make_selector()
    selector.begin_attempt(at(0))
    assert (selector.note_failed_attempt(at(0)), selector.current.name) == (False, "E0")
    assert (selector.note_failed_attempt(at(1)), selector.current.name) == (True, "E1")
    assert (selector.note_failed_attempt(at(2)), selector.current.name) == (False, "E1")
    assert (selector.note_failed_attempt(at(3)), selector.current.name) == (True, "E0")


def test_all_endpoints_have_a_turn_within_the_failover_time() -> None:
    """An attempt without an answer is given up when the endpoint's share of the time is over."""
    selector = make_selector(2)
    selector.note_lost_session(100, at(0))
    assert selector.begin_attempt(at(0.5)) == 5
    assert selector.note_failed_attempt(at(5))
    assert selector.begin_attempt(at(5)) == 10
    assert selector.current.name == "E1"


def test_a_turn_that_is_over_selects_the_next_endpoint() -> None:
    """If a wait outlasts an endpoint's turn, the next endpoint gets the attempt."""
    selector = make_selector(3)
    selector.note_lost_session(100, at(0))
    selector.begin_attempt(at(1))
    selector.note_failed_attempt(at(1))
    assert selector.begin_attempt(at(4)) == 4 + 10 / 3
    assert selector.current.name == "E1"


def test_the_first_turn_begins_with_the_first_attempt() -> None:
    """Time without a wanted session does not count."""
    selector = make_selector()
    selector.note_lost_session(100, at(0))
    selector.restart_turn()
    assert selector.begin_attempt(at(1000)) == 1005
    assert selector.current.name == "E0"


def test_a_refused_login_keeps_the_endpoint() -> None:
    """However many logins are refused, the endpoint stays selected: it answered."""
    selector = make_selector()
    for second in range(0, 100, 4):
        assert selector.begin_attempt(at(second)) == second + 5
        selector.note_refused_login()
    assert selector.current.name == "E0"


def test_failures_before_a_pause_count_after_it() -> None:
    """If two terms end by a failure at one endpoint, the next term begins at the other."""
    selector = make_selector()
    for second in (0, 100):
        selector.restart_turn()
        selector.begin_attempt(at(second))
        selector.note_failed_attempt(at(second))
    assert selector.current.name == "E1"


def test_each_endpoint_has_its_own_pause() -> None:
    """The pause is that of one endpoint, and does not apply to the others."""
    selector = make_selector()
    selector.hold_off(30, at(5))
    assert selector.held_off_until_boot_s == 35
    selector.note_failed_attempt(at(5))
    selector.note_failed_attempt(at(5))
    assert selector.held_off_until_boot_s == float("-inf")


def test_sessions_that_do_not_live_are_failures() -> None:
    """Two short sessions in a row select the next endpoint; a longer one between them resets the count."""
    selector = make_selector()
    selector.note_lost_session(1, at(0))
    selector.note_lost_session(10, at(20))
    selector.note_lost_session(1, at(30))
    assert selector.current.name == "E0"
    selector.note_lost_session(9, at(40))
    assert selector.current.name == "E1"


def test_a_single_endpoint_has_no_turns() -> None:
    """A single endpoint's attempt is not given up early, and its failures do not change the endpoint."""
    selector = make_selector(1)
    for second in range(0, 100, 10):
        assert selector.begin_attempt(at(second)) == float("inf")
        assert not selector.note_failed_attempt(at(second))
        selector.note_lost_session(1, at(second))
    assert selector.current.name == "E0"


def test_a_return_needs_the_whole_stable_time() -> None:
    """Probes have to be healthy for 600 s; a failed one restarts the count."""
    selector = failed_over_selector()
    assert selector.probe_period_s == 60
    assert probe_until(selector, 60, 600) == []
    assert not probe(selector, 660, good=False)
    assert probe_until(selector, 720, 1260) == []
    assert probe(selector, 1320, good=True)


def test_probes_too_far_apart_do_not_add_up() -> None:
    """If no probe ran for more than two periods, the endpoint may have failed meanwhile: the count restarts."""
    selector = failed_over_selector()
    assert probe_until(selector, 60, 600) == []
    assert probe_until(selector, 721, 1300) == []
    assert probe(selector, 1321, good=True)


def test_a_slow_answer_does_not_restart_the_count() -> None:
    """The time between two probes counts, not the time of an answer."""
    selector = failed_over_selector()
    asked = [100.0 * number for number in range(8)]
    assert [selector.note_probe(at(when), at(when + 90), healthy=True) for when in asked] == [False] * 6 + [True] * 2


def test_another_fail_over_begins_the_count_again() -> None:
    """Healthy probes from before another attempt at the preferred endpoint failed do not count."""
    selector = failed_over_selector()
    assert probe_until(selector, 60, 600) == []
    for second in (601, 602, 603, 604):
        selector.note_failed_attempt(at(second))
    assert selector.current.name == "E1"
    assert probe_until(selector, 610, 1209) == []
    assert probe(selector, 1210, good=True)


def test_between_two_returns_lies_the_period() -> None:
    """After a return that fails at once, the next one comes 900 s later at the earliest."""
    selector = failed_over_selector()
    probe_until(selector, 60, 660)
    selector.fail_back(at(660))
    assert selector.current.name == "E0"
    assert selector.begin_attempt(at(660)) == 665
    selector.note_failed_attempt(at(661))
    assert selector.note_failed_attempt(at(662))
    assert min(probe_until(selector, 700, 2000)) == 1600


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 10)), max_size=30))
def test_returns_are_rare_however_the_endpoint_flaps(phases: list[tuple[int, int]]) -> None:
    """However the preferred endpoint flaps: before a return it was healthy for 600 s, and returns are 900 s apart."""
    selector, down_at, returns = failed_over_selector(), 0, [-900]
    probes = [good for up, down in phases for good in [True] * up + [False] * down]
    for minute, good in enumerate(probes, 1):
        now = at(minute * 60)
        if not good:
            down_at = minute * 60
        if selector.current.name == "E0" and not good:
            selector.note_lost_session(1000, now)
            selector.note_failed_attempt(now)
            assert selector.note_failed_attempt(now)
        elif selector.current.name == "E1" and selector.note_probe(now, now, healthy=good):
            selector.fail_back(now)
            assert now.boot_s >= down_at + 600
            assert now.boot_s >= returns[-1] + 900
            returns.append(minute * 60)


def _return_at(selector: EndpointSelector, begin: float) -> float:
    """Note healthy probes until the session may return; return the time, after the return."""
    second = begin
    while not probe(selector, second, good=True):
        second += 60
    selector.fail_back(at(second))
    return second


def test_a_refused_return_ends_at_once_and_doubles_the_wait() -> None:
    """The other endpoint accepted the same key before. The wait doubles up to 32 times the setting."""
    selector = failed_over_selector()
    returned_at = [_return_at(selector, 60)]
    for _ in range(8):
        now = returned_at[-1] + 1
        assert selector.is_returning
        promised_s = selector.next_return_after_s
        assert (selector.note_refused_return(at(now)), selector.current.name, selector.is_returning) == (
            True,
            "E1",
            False,
        )
        returned_at.append(_return_at(selector, now))
        assert returned_at[-1] - returned_at[-2] >= promised_s
    waits = [later - earlier for earlier, later in pairwise(returned_at)]
    assert [900 * 2**n <= wait < 900 * 2**n + 60 for n, wait in enumerate(waits[:5], 1)] == [True] * 5
    assert waits[5] < waits[4] + 60
    assert waits[7] < 32 * 900 + 60


def test_an_accepted_login_resets_the_wait_of_returns() -> None:
    """Refusals from before the accepted login no longer count."""
    selector = failed_over_selector()
    returned_at = _return_at(selector, 60)
    selector.note_refused_return(at(returned_at))
    assert selector.next_return_after_s == 3600
    returned_at = _return_at(selector, returned_at)
    selector.note_lost_session(1000, at(returned_at + 1000))
    now = at(returned_at + 1001)
    assert (selector.is_returning, selector.note_refused_return(now), selector.next_return_after_s) == (
        False,
        False,
        1800,
    )
