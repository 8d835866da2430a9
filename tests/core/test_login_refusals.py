"""What follows when logins are refused, one after another."""

import pytest

from bridge.core.login_refusals import WAIT_LAST_S, KeyCheck, LoginRefusals
from bridge.core.now import Now


def refusals() -> LoginRefusals:
    """Return a count that gives up at three proven refusals that have lasted two minutes."""
    return LoginRefusals(proven_max=3, proven_for_s=120)


def at(mono: float) -> Now:
    """Return an instant."""
    return Now(mono, 0)


@pytest.mark.parametrize("check", [KeyCheck.TAKEN, KeyCheck.UNTOLD])
def test_what_rest_does_not_confirm_is_never_final(check: KeyCheck) -> None:
    """A day of generic refusals says nothing about the key."""
    count = refusals()
    assert not any(count.refused(check, at(60.0 * minute)) for minute in range(24 * 60))


def test_a_key_that_is_refused_everywhere_is_given_up_after_its_time() -> None:
    """Many refusals within seconds are not enough, nor two that lie far apart."""
    count = refusals()
    assert not any(count.refused(KeyCheck.REFUSED, at(second)) for second in range(10))
    assert not count.refused(KeyCheck.REFUSED, at(119))
    assert count.refused(KeyCheck.REFUSED, at(120))
    few = refusals()
    assert not few.refused(KeyCheck.REFUSED, at(0))
    assert not few.refused(KeyCheck.REFUSED, at(600))
    assert few.refused(KeyCheck.REFUSED, at(601))


def test_a_login_or_an_answer_of_rest_clears_the_key() -> None:
    """What was proven before counts no more; a REST that is silent proves nothing either way."""
    count = refusals()
    for clear in (count.logged_in, lambda: count.refused(KeyCheck.TAKEN, at(200))):
        assert not any(count.refused(KeyCheck.REFUSED, at(second)) for second in (0, 100, 110))
        clear()
        assert not any(count.refused(KeyCheck.REFUSED, at(second)) for second in (300, 310, 320))
        count.logged_in()
    for second in (0, 60):
        count.refused(KeyCheck.REFUSED, at(second))
    count.refused(KeyCheck.UNTOLD, at(90))
    assert count.refused(KeyCheck.REFUSED, at(121))


def test_the_waits_double_up_to_half_a_minute() -> None:
    """And begin anew after a login; what is drawn is never less than half."""
    count = refusals()
    waits = []
    for second in range(8):
        count.refused(KeyCheck.UNTOLD, at(second))
        waits.append((count.wait_s(0.0), count.wait_s(1.0)))
    assert waits[:3] == [(1, 2), (2, 4), (4, 8)]
    assert waits[-1] == (WAIT_LAST_S / 2, WAIT_LAST_S)
    count.logged_in()
    count.refused(KeyCheck.UNTOLD, at(9))
    assert count.wait_s(1.0) == 2
