"""When the venue is asked about a command in doubt."""

from bridge.core.in_flight.status_queries import QuerySchedule


def test_an_earlier_query_is_not_put_off() -> None:
    """A later one changes nothing, an earlier one comes first, and each is asked once."""
    schedule = QuerySchedule()
    for at in (5.0, 9.0, 1.0):
        schedule.ask_at(7, at)
    assert schedule.wake_at() == 1.0
    assert schedule.pop_due(1.0, lambda _: 100.0) == [7]
    assert schedule.pop_due(1.4, lambda _: 100.0) == []
    assert schedule.pop_due(5.0, lambda _: 100.0) == [7]


def test_what_is_forgotten_is_not_asked_about() -> None:
    """Nor is it when it was never known."""
    schedule = QuerySchedule()
    schedule.ask_at(7, 1.0)
    schedule.forget(7)
    schedule.forget(8)
    assert schedule.pop_due(2.0, lambda _: 100.0) == []


def test_the_last_query_comes_when_a_command_can_no_longer_land() -> None:
    """Not earlier, and no later; afterwards the pauses go on."""
    schedule = QuerySchedule()
    schedule.ask_at(7, 1.0)
    for at, next_at in ((1.0, 1.5), (1.5, 2.2), (2.2, 4.2)):
        assert schedule.pop_due(at, lambda _: 2.2) == [7]
        assert schedule.wake_at() == next_at
