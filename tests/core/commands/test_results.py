"""What last words tell beside themselves: when a command was asked for and first doubted, and whether it came again."""

import pytest

from bridge.contract.commands import PLACE
from bridge.contract.results import Outcome, Result
from bridge.core.commands import dedupe_index
from bridge.core.commands.takeover_status import TakeoverStatus
from bridge.core.records import PublishedResult
from tests.support.one_account import ORDER_ID, START, OneAccount, order_push, place


def _told(one: OneAccount) -> list[PublishedResult | None]:
    """Publish what was said, and return what every result so far tells."""
    one.drain()
    answers = [record.answer for record in one.said if record.key == b"p"]
    return [one if one is not None and one.result.outcome.terminal else None for one in answers]


def _times(told: list[PublishedResult | None]) -> list[tuple[int, int | None, bool] | None]:
    """Return asked, doubted, again; in ms since the start."""
    since = START.wall_ms
    return [
        None
        if one is None
        else (one.asked_at_ms - since, one.unknown_at_ms and one.unknown_at_ms - since, one.repeated)
        for one in told
    ]


def test_an_answered_command_tells_when_it_was_asked_for() -> None:
    """Beside what its result says: when it was written and answered."""
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


def test_a_doubted_command_tells_since_when() -> None:
    """The `unknown` tells nothing; the last word tells when it was said, however often it was doubted."""
    one = OneAccount()
    one.offer(place("p"))
    one.send()
    one.wait(1)
    one.lose_session()
    one.wait(1)
    one.account.on_order(order_push("p", orderId=ORDER_ID), one.now)
    assert _times(_told(one)) == [None, (0, 1000, False)]


def test_an_inherited_command_tells_when_it_was_taken_over() -> None:
    """What an earlier owner may have written was not written by this one."""
    one = OneAccount(live=False)
    one.offer(place("p"), past=TakeoverStatus.CLAIMED)
    one.account.on_order(order_push("p", orderId=ORDER_ID), one.now)
    unknown, last = _told(one)
    assert _times([unknown, last]) == [None, (0, 0, False)]
    assert last is not None
    assert last.result.sent_at is None


def test_what_an_earlier_owner_has_called_unknown_is_not_called_so_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """`unknown` is said once of a command, whoever owns it; its last word tells when. One of many is said twice."""
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


def test_a_command_that_comes_again_tells_so() -> None:
    """Before the answer and after it, each with the time of its own record; refused ones too."""
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
