"""When the venue is asked about an unknown command."""

from bridge.contract.commands import CANCEL_ALL, PLACE
from bridge.core.commands.command import TrackedCommand
from bridge.core.commands.timers import Timers
from bridge.core.in_flight.query_schedule import QuerySchedule


class Queries:
    """A schedule of a few commands, each of which can land until a time."""

    def __init__(self, *commands: TrackedCommand, until_boot_s: float = 100.0) -> None:
        self.schedule = QuerySchedule(Timers())
        self.commands = {command.offset: command for command in commands}
        self._until_boot_s = until_boot_s

    def due(self, now_boot_s: float) -> list[int]:
        """Return the offsets of the commands to query now."""
        due = self.schedule.pop_due(now_boot_s, self.commands.get, lambda _: self._until_boot_s)
        return [command.offset for command in due]


def command(offset: int, action: str = PLACE) -> TrackedCommand:
    """Make a command at an offset."""
    return TrackedCommand(offset, 0, f"c{offset}", action, {}, 0.0, "", ())


def test_an_earlier_query_is_not_postponed() -> None:
    """A later one changes nothing, an earlier one comes first, and each is made once."""
    place = command(7)
    queries = Queries(place)
    for at in (5.0, 9.0, 1.0):
        queries.schedule.schedule_query(place, at)
    assert queries.schedule.wake_at_boot_s() == 1.0
    assert queries.due(1.0) == [7]
    assert queries.due(1.4) == []
    assert queries.due(5.0) == [7]


def test_a_command_with_a_result_is_not_queried() -> None:
    """The schedule skips a command that is no longer found."""
    place = command(7)
    queries = Queries(place)
    queries.schedule.schedule_query(place, 1.0)
    queries.commands.clear()
    assert queries.due(2.0) == []


def test_a_cancel_orders_is_queried_first() -> None:
    """It comes before queries that have waited longer."""
    place, cancel_orders = command(7), command(8, CANCEL_ALL)
    queries = Queries(place, cancel_orders)
    queries.schedule.schedule_query(place, 1.0)
    queries.schedule.schedule_query(cancel_orders, 2.0)
    assert queries.due(2.0) == [8, 7]


def test_the_last_query_comes_when_a_command_can_no_longer_land() -> None:
    """It comes exactly then; afterwards the pauses continue."""
    place = command(7)
    queries = Queries(place, until_boot_s=2.2)
    queries.schedule.schedule_query(place, 1.0)
    for at, next_at in ((1.0, 1.5), (1.5, 2.2), (2.2, 4.2)):
        assert queries.due(at) == [7]
        assert queries.schedule.wake_at_boot_s() == next_at
