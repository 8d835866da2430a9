"""Published results: the times of the command beside the result, and whether it is repeated."""

import pytest

from bridge.contract.commands import PLACE
from bridge.contract.results import Outcome, Result
from bridge.core.commands import dedupe_index
from bridge.core.commands.takeover_status import TakeoverStatus
from bridge.core.records import PublishedResult
from tests.support.one_account import ORDER_ID, START, OneAccount, order_push, place


def _told(one: OneAccount) -> list[PublishedResult | None]:
    """Return the published results so far, with their times."""
    one.drain()
    answers = [record.answer for record in one.said if record.key == b"p"]
    return [one if one is not None and one.result.outcome.terminal else None for one in answers]


def _times(told: list[PublishedResult | None]) -> list[tuple[int, int | None, bool] | None]:
    """Return the record's time and the time of `unknown`, in ms since a start, and whether it is repeated."""
    since = START.wall_ms
    return [
        None
        if one is None
        else (one.asked_at_ms - since, one.unknown_at_ms and one.unknown_at_ms - since, one.repeated)
        for one in told
    ]


def test_a_published_result_has_the_timestamp_of_its_record() -> None:
    """It is beside the times at which the command was written and answered."""
    one = OneAccount()
    one.offer(place("p"))
    one.wait(0.5)
    one.send()
    one.wait(0.25)
    one.answer(0)
    (told,) = _told(one)
    assert _times([told]) == [(0, None, False)]
    assert told is not None
    assert (told.result.sent_at, told.result.answered_at) == (START.wall_ms + 500, START.wall_ms + 750)


def test_a_published_result_has_the_time_since_when_it_was_unknown() -> None:
    """The terminal result has the time of the first `unknown`; the `unknown` itself has none."""
    one = OneAccount()
    one.offer(place("p"))
    one.send()
    one.wait(1)
    one.lose_session()
    one.wait(1)
    one.account.on_order(order_push("p", orderId=ORDER_ID), one.now)
    assert _times(_told(one)) == [None, (0, 1000, False)]


def test_an_inherited_command_is_unknown_since_its_takeover() -> None:
    """A command that an earlier owner may have written has no sentAt of this one."""
    one = OneAccount(live=False)
    one.offer(place("p"), past=TakeoverStatus.CLAIMED)
    one.account.on_order(order_push("p", orderId=ORDER_ID), one.now)
    unknown, last = _told(one)
    assert _times([unknown, last]) == [None, (0, 0, False)]
    assert last is not None
    assert last.result.sent_at is None


def test_an_unknown_result_of_an_earlier_owner_is_not_published_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """`unknown` is published once for a command by all its owners; beyond the bound it is published twice."""
    monkeypatch.setattr(dedupe_index, "_UNKNOWN_MAX", 2)
    doubted = [
        *(Result("p", 0, Outcome.UNKNOWN, START.wall_ms - 700, PLACE), Result("q", 1, Outcome.UNKNOWN, 1, PLACE)),
        *(Result("q", 1, Outcome.ACCEPTED, 2, PLACE), Result("r", 9, Outcome.UNKNOWN, 1, PLACE)),
        Result("s", 3, Outcome.UNKNOWN, 1, PLACE),
    ]
    one = OneAccount(epoch=2, live=False)
    one.account.restore([(result, START.wall_ms) for result in doubted], one.now)
    for command_id in ("p", "new", "r", "s"):
        one.offer(place(command_id), past=TakeoverStatus.CLAIMED)
    assert one.outcomes() == [(1, "unknown"), (2, "unknown"), (3, "unknown")]
    one.account.on_order(order_push("p", orderId=ORDER_ID), one.now)
    assert _times(_told(one)) == [(0, -700, False)]


def test_a_result_of_a_resubmission_is_marked_as_repeated() -> None:
    """Each has the timestamp of its own record, before the first result and after it; refused ones too."""
    one = OneAccount()
    for _ in range(2):
        one.offer(place("p", side="UP"))
        one.wait(1)
    assert _times(_told(one)) == [(0, None, False), (1000, None, True)]
    other = OneAccount()
    other.offer(place("p"))
    other.wait(0.5)
    other.offer(place("p"))
    other.send()
    other.answer(0)
    assert _times(_told(other)) == [(0, None, False), (500, None, True)]
