"""Expired cancels of an earlier owner: when their orders are checked."""

from bridge.contract.commands import CANCEL
from bridge.core.commands.command import TrackedCommand
from bridge.core.commands.command_table import CommandTable
from bridge.core.in_flight.earlier_cancels import EarlierCancels
from bridge.core.now import Now


def _at(boot_s: float) -> Now:
    return Now(boot_s, 0)


def _tracked(*offsets: int) -> tuple[CommandTable, EarlierCancels, list[TrackedCommand]]:
    """Return cancels whose orders are checked from second 1 on."""
    table = CommandTable()
    earlier = EarlierCancels(table)
    cancels = [TrackedCommand(offset, 0, f"c{offset}", CANCEL, {}, 0.0, "", ()) for offset in offsets]
    for cancel in cancels:
        table.add(cancel)
        earlier.add(cancel, _at(1.0))
    return table, earlier, cancels


def test_a_cancel_is_checked_once_and_again_when_it_is_postponed() -> None:
    """A check plans no other one; a postponed cancel comes five seconds later."""
    _, earlier, cancels = _tracked(3)
    assert cancels == list(earlier.pop_due(_at(1.0)))
    assert list(earlier.pop_due(_at(100.0))) == []
    earlier.postpone(cancels[0], _at(100.0))
    assert list(earlier.pop_due(_at(104.9))) == []
    assert cancels == list(earlier.pop_due(_at(105.0)))


def test_a_cancel_that_has_left_the_table_is_not_checked() -> None:
    """Its result is durable; the others are checked all the same."""
    table, earlier, cancels = _tracked(3, 4)
    table.forget(3)
    assert cancels[1:] == list(earlier.pop_due(_at(1.0)))
