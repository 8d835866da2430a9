"""The document of the status page says how every account is."""

import re
from pathlib import Path

import pytest
from msgspec import structs

from bridge.admin.health import AccountHealth, MissingPart
from bridge.admin.status_document import (
    DETAIL_CHARS_MAX,
    RECENT_MS,
    ROWS_MAX,
    WORD_CHARS_MAX,
    OwnedAccount,
    ProcessFacts,
    ShownAccount,
    ShownResult,
    build_document,
)
from bridge.contract.results import Outcome, Reason, Result
from bridge.contract.session import Alarm, AlarmRaised, Cause
from bridge.core.account_status import GapStatus
from bridge.core.records import PublishedResult
from bridge.flow import readiness
from bridge.metrics import LatencyTotals
from tests.support.account_reports import AT_MS, make_report, make_stopped_report
from tests.support.one_account import OneAccount, place

PROCESS = ProcessFacts("host:1", "0.1.0", "sandbox", AT_MS)
RUNBOOK = (Path(__file__).parents[2] / "helm/ltp-kafka-bridge/RUNBOOK.md").read_text(encoding="utf-8")
MISSING_PARTS = [value for name, value in vars(readiness).items() if name.isupper() and isinstance(value, str)]
ENTRIES = set(re.findall(r'<a id="([\w-]+)"></a>', RUNBOOK))


def _show_owned(one: OneAccount) -> tuple[ShownAccount, OwnedAccount]:
    (shown,) = build_document(PROCESS, [make_report(one)], one.now.wall_ms).accounts
    assert shown.owned is not None
    return shown, shown.owned


def test_an_owned_account_shows_its_session_and_budgets() -> None:
    """Where and since when it is logged in, how much of each limit is used, and what waits for Kafka."""
    one = OneAccount()
    one.offer(place("p1"))
    one.send()
    one.offer(place("p2"))
    one.wait(3)
    shown, owned = _show_owned(one)
    assert (shown.name, shown.ready, shown.phase) == ("main", True, "owner")
    assert (owned.endpoint, owned.logged_in_ms, owned.is_recovered, owned.epoch) == ("AZ4", AT_MS, True, 1)
    budgets = {budget.action: (budget.limit, budget.free, budget.waiting) for budget in owned.budgets}
    assert budgets["place_order"] == (100, 99, 1)
    assert budgets["cancel_order"] == (100, 100, 0)
    assert (owned.waiting, owned.oldest_waiting_s) == (1, 3)
    assert (owned.in_flight, owned.oldest_in_flight_s, owned.unknown) == (1, 3, 0)
    assert (shown.buffer_bytes, shown.buffer_bytes_max, shown.oldest_record_s, shown.producer_renewals) == (
        *(100, 1000, 0.5, 2),
    )


def test_a_lost_session_shows_the_gap_and_the_doubt() -> None:
    """The gap says since when and why pushes may be missing; the command may have been written."""
    one = OneAccount()
    one.offer(place("p1"))
    one.send()
    one.lose_session()
    one.wait(7)
    _, owned = _show_owned(one)
    (gap,) = owned.gaps
    assert (owned.gap_count, gap.cause, gap.meaning) == (1, Cause.LINK_FAILED, Cause.LINK_FAILED.__doc__)
    assert (gap.from_ms, gap.to_ms) == (one.now.wall_ms - 7000, 0)
    assert (owned.unknown, owned.oldest_unknown_s) == (1, 7)


def test_an_active_alarm_shows_its_meaning_and_what_to_do() -> None:
    """It names its entry in the runbook."""
    one = OneAccount()
    one.account.raise_alarm(Alarm.TOPIC_LOST, "gone", one.now, "ltp.main.orders")
    _, owned = _show_owned(one)
    (alarm,) = owned.alarms
    assert (owned.alarm_count, alarm.alarm, alarm.subject, alarm.detail) == (
        *(1, Alarm.TOPIC_LOST, "ltp.main.orders", "gone"),
    )
    assert (alarm.runbook, alarm.meaning, alarm.since_ms) == (
        *("alarm-topic_lost", Alarm.TOPIC_LOST.__doc__, one.now.wall_ms),
    )


def test_an_alarm_without_an_end_is_shown_for_a_while() -> None:
    """One of an occurrence stays for a quarter of an hour; one that is active is not shown twice."""
    one = OneAccount()
    one.account.raise_alarm(Alarm.CLOCK_SKEW, "active", one.now)
    now_ms = one.now.wall_ms
    raised = [
        AlarmRaised(at=now_ms - RECENT_MS - 1, alarm=Alarm.LATE_LANDED, detail="long ago"),
        AlarmRaised(at=now_ms - RECENT_MS, alarm=Alarm.LATE_LANDED, detail="recent"),
        AlarmRaised(at=now_ms, alarm=Alarm.CLOCK_SKEW, detail="active"),
    ]
    (shown,) = build_document(PROCESS, [make_report(one, last_alarms=raised)], now_ms).accounts
    assert [(alarm.detail, alarm.runbook) for alarm in shown.recent_alarms] == [("recent", "alarm-late_landed")]


def test_a_standby_is_ready_and_owns_nothing() -> None:
    """There is no session, no budget and no gap to show."""
    document = build_document(PROCESS, [make_report(None)], AT_MS)
    (shown,) = document.accounts
    assert document.ready
    assert (shown.phase, shown.owned, list(shown.missing)) == ("standby", None, [])


def test_a_stopped_account_says_why_for_as_long_as_it_is_stopped() -> None:
    """What is missing is a person; the alarm that stopped it is shown however old it is."""
    raised = AlarmRaised(at=AT_MS, alarm=Alarm.OFFSET_LOST, detail="offset 7 is gone")
    report = make_stopped_report("offset 7 is gone", last_alarms=[raised])
    document = build_document(PROCESS, [make_report(None), report], AT_MS + 100 * RECENT_MS)
    shown = document.accounts[1]
    assert not document.ready
    assert (shown.phase, shown.detail, shown.owned) == ("stopped", "offset 7 is gone", None)
    assert [(part.what, part.runbook, part.since_ms) for part in shown.missing] == [("operator", "no-owner", AT_MS)]
    assert [alarm.runbook for alarm in shown.recent_alarms] == ["alarm-offset_lost"]


def test_a_process_without_accounts_is_not_ready() -> None:
    """As `/readyz` has it."""
    assert not build_document(PROCESS, [], AT_MS).ready


def test_results_are_shown_newest_first() -> None:
    """Each with its command, its order, why, and how long it took."""
    accepted = Result("p1", 0, Outcome.ACCEPTED, AT_MS, "place_order", code=200000, message="Success", order_id="17")
    denied = Result("p2", 1, Outcome.DENIED, AT_MS + 1, reason=Reason.BAD_VALUE, message="no price")
    last = [PublishedResult(accepted, AT_MS, stages_s={"total": 0.02}), PublishedResult(denied, AT_MS, repeated=True)]
    (shown,) = build_document(PROCESS, [make_report(OneAccount(), last_results=last)], AT_MS).accounts
    assert list(shown.results) == [
        ShownResult(AT_MS + 1, "", "denied", "bad_value", None, "no price", "p2", "", None, repeated=True),
        ShownResult(AT_MS, "place_order", "accepted", "", 200000, "Success", "p1", "17", 0.02, repeated=False),
    ]


def test_latencies_are_sums_and_counts_since_the_start() -> None:
    """The page makes means of two documents."""
    latencies = LatencyTotals(publish_s=0.5, publish_count=100)
    (shown,) = build_document(PROCESS, [make_report(None, latencies=latencies)], AT_MS).accounts
    assert shown.latencies == latencies


def test_long_lists_are_cut_and_counted() -> None:
    """A thousand gaps or alarms do not make a document of megabytes."""
    one = OneAccount()
    for number in range(1000):
        one.account.raise_alarm(Alarm.TOPIC_LOST, "gone", one.now, f"topic {number}")
    gaps = [GapStatus(f"1-{number}", Cause.LINK_FAILED, AT_MS, 0, 0) for number in range(1000)]
    status = structs.replace(one.account.read_status(one.now), gaps=gaps)
    (shown,) = build_document(PROCESS, [make_report(one, status=status)], AT_MS).accounts
    assert shown.owned is not None
    assert (shown.owned.alarm_count, len(shown.owned.alarms)) == (1000, ROWS_MAX)
    assert (shown.owned.gap_count, len(shown.owned.gaps)) == (1000, ROWS_MAX)
    assert shown.owned.alarms[0].subject == "topic 0"


def test_long_texts_are_cut() -> None:
    """A megabyte in an id, a message or a detail is shown by its beginning."""
    long = "x" * 1_000_000
    one = OneAccount()
    one.account.raise_alarm(Alarm.TOPIC_LOST, long, one.now, long)
    result = Result(long, 0, Outcome.REJECTED, AT_MS, long, message=long, order_id=long)
    report = make_report(
        one,
        health=AccountHealth(ready=False, phase="owner", detail=long, missing=[MissingPart("session", AT_MS, long)]),
        last_results=[PublishedResult(result, AT_MS)],
    )
    (shown,) = build_document(PROCESS, [report], AT_MS).accounts
    assert shown.owned is not None
    (row,), (alarm,), (part,) = shown.results, shown.owned.alarms, shown.missing
    assert {len(text) for text in (shown.detail, row.message, alarm.detail, part.detail)} == {DETAIL_CHARS_MAX}
    assert {len(text) for text in (row.action, row.command_id, row.order_id, alarm.subject)} == {WORD_CHARS_MAX}
    assert shown.detail.endswith("x…")


@pytest.mark.parametrize("alarm", Alarm)
def test_every_alarm_has_an_entry_in_the_runbook(alarm: Alarm) -> None:
    """The name that is shown leads to one."""
    raised = AlarmRaised(at=AT_MS, alarm=alarm, detail="")
    (shown,) = build_document(PROCESS, [make_report(None, last_alarms=[raised])], AT_MS).accounts
    assert shown.recent_alarms[0].runbook in ENTRIES


@pytest.mark.parametrize("what", MISSING_PARTS)
def test_every_missing_part_has_an_entry_in_the_runbook(what: str) -> None:
    """One that is about it, and not only about accounts that are not ready."""
    health = AccountHealth(ready=False, phase="owner", missing=[MissingPart(what, AT_MS, "")])
    (shown,) = build_document(PROCESS, [make_report(None, health=health)], AT_MS).accounts
    assert shown.missing[0].runbook in ENTRIES - {"not-ready"}


def test_an_unknown_missing_part_and_a_gap_have_entries() -> None:
    """Nothing that is shown as a problem is without one."""
    one = OneAccount()
    one.lose_session()
    health = AccountHealth(ready=False, phase="owner", missing=[MissingPart("something new", AT_MS, "")])
    (shown,) = build_document(PROCESS, [make_report(one, health=health)], AT_MS).accounts
    assert shown.owned is not None
    assert {shown.missing[0].runbook, shown.owned.gaps[0].runbook} == {"not-ready", "gap-open"}
    assert ENTRIES >= {"not-ready", "gap-open"}
