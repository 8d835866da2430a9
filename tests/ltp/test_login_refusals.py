"""Refused logins that follow one another."""

import pytest

from bridge.core.now import Now
from bridge.ltp.login_refusals import WAIT_LAST_S, KeyCheck, LoginRefusals


@pytest.fixture(autouse=True)
def _quick_refusals() -> None:
    """Leave the waits as they are."""


def refusals() -> LoginRefusals:
    """Return a count that gives up after three proven refusals, once they have lasted two minutes."""
    return LoginRefusals(proven_max=3, give_up_s=120)


def at(boot_s: float) -> Now:
    """Return an instant."""
    return Now(boot_s, 0)


@pytest.mark.parametrize("check", [KeyCheck.ACCEPTED, KeyCheck.INCONCLUSIVE])
def test_what_rest_does_not_confirm_is_never_final(check: KeyCheck) -> None:
    """A day of generic refusals proves nothing about the key."""
    count = refusals()
    assert not any(count.note_refusal(check, at(60.0 * minute)) for minute in range(24 * 60))


def test_a_key_that_is_refused_everywhere_is_given_up_after_its_time() -> None:
    """Many refusals within seconds are not enough, and two that are far apart are not either."""
    count = refusals()
    assert not any(count.note_refusal(KeyCheck.REFUSED, at(second)) for second in range(10))
    assert not count.note_refusal(KeyCheck.REFUSED, at(119))
    assert count.note_refusal(KeyCheck.REFUSED, at(120))
    few = refusals()
    assert not few.note_refusal(KeyCheck.REFUSED, at(0))
    assert not few.note_refusal(KeyCheck.REFUSED, at(600))
    assert few.note_refusal(KeyCheck.REFUSED, at(601))


def test_a_login_or_an_answer_of_rest_clears_the_key() -> None:
    """Earlier proof no longer counts after either. A REST without an answer proves nothing."""
    count = refusals()
    for clear in (count.note_login, lambda: count.note_refusal(KeyCheck.ACCEPTED, at(200))):
        assert not any(count.note_refusal(KeyCheck.REFUSED, at(second)) for second in (0, 100, 110))
        clear()
        assert not any(count.note_refusal(KeyCheck.REFUSED, at(second)) for second in (300, 310, 320))
        count.note_login()
    for second in (0, 60):
        count.note_refusal(KeyCheck.REFUSED, at(second))
    count.note_refusal(KeyCheck.INCONCLUSIVE, at(90))
    assert count.note_refusal(KeyCheck.REFUSED, at(121))


def test_the_waits_double_up_to_half_a_minute() -> None:
    """They restart after a login, and jitter draws at least half of each."""
    count = refusals()
    waits = []
    for second in range(8):
        count.note_refusal(KeyCheck.INCONCLUSIVE, at(second))
        waits.append((count.next_wait_s(0.0), count.next_wait_s(1.0)))
    assert waits[:3] == [(1, 2), (2, 4), (4, 8)]
    assert waits[-1] == (WAIT_LAST_S / 2, WAIT_LAST_S)
    count.note_login()
    count.note_refusal(KeyCheck.INCONCLUSIVE, at(9))
    assert count.next_wait_s(1.0) == 2
