"""`/metrics` says in the format of Prometheus what was counted, and how every account is now."""

import asyncio

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from bridge.admin.management import serve
from bridge.admin.metrics import ReportCollector, make_metrics_routes, measure_loop_lag
from bridge.config import Management
from bridge.contract.results import Outcome, Reason, Result
from bridge.contract.session import (
    Alarm,
    AlarmCleared,
    AlarmRaised,
    Cause,
    GapClosed,
    GapOpened,
    Lost,
    Recovered,
    SessionLost,
    SessionOpened,
)
from bridge.contract.topics import Stream
from bridge.core.records import PublishedResult
from bridge.metrics import PREFIX, AccountMetrics, DurableBatch, LatencyTotals, Metrics
from tests.support.account_reports import AT_MS, make_report
from tests.support.one_account import OneAccount, place
from tests.witness.waiting import until


async def _scrape(metrics: Metrics) -> dict[str, float]:
    """Ask for the metrics, and return the value of each series by its name and the values of its labels."""
    async with (
        serve(Management(port=0), make_metrics_routes(metrics)) as port,
        aiohttp.ClientSession() as http,
        http.get(f"http://127.0.0.1:{port}/metrics") as answer,
    ):
        assert answer.status == 200
        text = await answer.text()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    assert {one.labels.get("environment") for one in samples if one.name.startswith(PREFIX)} == {"test"}
    return {
        " ".join(
            (one.name.removeprefix(PREFIX), *(value for label, value in one.labels.items() if label != "environment"))
        ): one.value
        for one in samples
    }


async def test_batches_are_counted_by_stream() -> None:
    """Records, their bytes and those from REST are counted; a row of REST has no age."""
    metrics = Metrics("test")
    account = AccountMetrics(metrics, "main")
    account.note_batch(DurableBatch(Stream.ORDERS, 3, 900, 0, 0.002, AT_MS))
    account.note_batch(DurableBatch(Stream.ORDERS, 1, 100, 1, 0.004, 0))
    found = await _scrape(metrics)
    assert [found[f"{name} main orders"] for name in ("records_total", "record_bytes_total")] == [4, 1000]
    assert found["recovered_records_total main orders"] == 1
    assert found["publish_seconds_bucket main 0.0025 orders"] == 1
    assert found["publish_seconds_count main orders"] == 2
    assert found["push_age_seconds_count main orders"] == 1
    assert account.latencies == LatencyTotals(publish_s=0.006, publish_count=2)


async def test_results_are_counted_once_and_timed() -> None:
    """A terminal result counts; an `unknown` before it and a repeated one do not."""
    metrics = Metrics("test")
    account = AccountMetrics(metrics, "main")
    accepted = Result("p1", 0, Outcome.ACCEPTED, AT_MS, "place_order")
    account.note_result(PublishedResult(Result("p1", 0, Outcome.UNKNOWN, AT_MS, "place_order"), AT_MS))
    account.note_result(PublishedResult(accepted, AT_MS, stages_s={"read": -0.001, "total": 0.02}))
    account.note_result(PublishedResult(accepted, AT_MS, repeated=True))
    account.note_result(PublishedResult(Result("p2", 1, Outcome.DENIED, AT_MS, reason=Reason.BAD_VALUE), AT_MS))
    found = await _scrape(metrics)
    assert {name: value for name, value in found.items() if name.startswith("results_total")} == {
        "results_total main place_order accepted ": 1,
        "results_total main  denied bad_value": 1,
    }
    assert found["command_stage_seconds_bucket main place_order 0.025 total"] == 1
    assert found["command_stage_seconds_sum main place_order read"] == 0
    assert account.latencies == LatencyTotals(command_s=0.02, command_count=1)


async def test_what_is_told_on_session_is_counted() -> None:
    """Gaps with their length, alarms, and lost sessions."""
    metrics = Metrics("test")
    account = AccountMetrics(metrics, "main")
    account.note_session_event(SessionOpened(at=AT_MS, endpoint="AZ4"))
    account.note_session_event(SessionLost(at=AT_MS, endpoint="AZ4", cause=Cause.LINK_FAILED, detail=""))
    account.note_session_event(GapOpened(at=AT_MS, gap_id="1-1", from_ms=AT_MS, cause=Cause.LINK_FAILED, detail=""))
    account.note_session_event(
        GapClosed(
            at=AT_MS,
            gap_id="1-1",
            from_ms=AT_MS,
            to_ms=AT_MS + 2500,
            cause=Cause.LINK_FAILED,
            recovered=Recovered(),
            lost=(Lost.MARGIN_CALLS,),
        )
    )
    account.note_session_event(AlarmRaised(at=AT_MS, alarm=Alarm.CLOCK_SKEW, detail=""))
    found = await _scrape(metrics)
    assert found["sessions_lost_total main link_failed"] == found["gaps_total main link_failed"] == 1
    assert found["gap_seconds_total main"] == 2.5
    assert found["gap_losses_total main margin_calls"] == 1
    assert found["alarms_total main clock_skew"] == 1


async def test_the_last_alarms_that_did_not_end_are_kept() -> None:
    """An alarm that was cleared is not among them; twenty are kept."""
    account = AccountMetrics(Metrics("test"), "main")
    lost = [AlarmRaised(at=AT_MS + n, alarm=Alarm.TOPIC_LOST, detail="", subject=f"t{n}") for n in range(22)]
    for event in lost:
        account.note_session_event(event)
    account.note_session_event(AlarmCleared(at=AT_MS, alarm=Alarm.TOPIC_LOST, detail="", since=AT_MS, subject="t21"))
    account.note_session_event(AlarmCleared(at=AT_MS, alarm=Alarm.CLOCK_SKEW, detail="", since=AT_MS, subject="t20"))
    assert list(account.last_alarms) == lost[2:21]


async def test_every_alarm_and_cause_is_there_from_the_start() -> None:
    """The first alarm is a rise from 0, which Prometheus sees; a series that begins with 1 would not be one."""
    metrics = Metrics("test")
    AccountMetrics(metrics, "main")
    found = await _scrape(metrics)
    assert {name: 0 for alarm in Alarm if (name := f"alarms_total main {alarm}")}.items() <= found.items()
    assert {name: 0 for cause in Cause if (name := f"sessions_lost_total main {cause}")}.items() <= found.items()


async def test_commits_rebalances_and_sweeps_are_counted() -> None:
    """Each has a series of its own."""
    metrics = Metrics("test")
    account = AccountMetrics(metrics, "main")
    account.note_commit(0.004)
    account.note_rebalance()
    account.note_sweep("gaps_closed")
    found = await _scrape(metrics)
    assert found["commit_seconds_bucket main 0.005"] == 1
    assert account.latencies == LatencyTotals(commit_s=0.004, commit_count=1)
    assert found["rebalances_total main"] == found["sweeps_total main gaps_closed"] == 1


async def test_an_owned_account_shows_its_budgets_gaps_and_alarms() -> None:
    """What is read at the moment of the question is that of the account."""
    metrics, one = Metrics("test"), OneAccount()
    one.offer(place("p1"))
    one.send()
    one.lose_session()
    one.wait(7)
    one.account.raise_alarm(Alarm.TOPIC_LOST, "gone", one.now, "ltp.main.orders")
    one.account.raise_alarm(Alarm.TOPIC_LOST, "gone", one.now, "ltp.main.trades")
    metrics.registry.register(ReportCollector("test", lambda: [make_report(one)], lambda: one.now))
    found = await _scrape(metrics)
    assert (found["ready main"], found["owner main"], found["session_up main AZ4"]) == (1, 1, 1)
    assert found["budget_free main place_order"] == found["budget_limit main place_order"] - 1
    assert (found["commands_unknown main"], found["oldest_unknown_seconds main"]) == (1, 7)
    assert (found["gaps_open main link_failed"], found["oldest_gap_seconds main"]) == (1, 7)
    assert found["alarm_active main topic_lost"] == 2
    assert found["clock_skew_low_seconds main venue"] <= found["clock_skew_high_seconds main venue"]


async def test_a_standby_shows_only_what_it_knows() -> None:
    """Without the account there is no session, no budget and no gap."""
    metrics, one = Metrics("test"), OneAccount()
    metrics.registry.register(ReportCollector("test", lambda: [make_report(None)], lambda: one.now))
    found = await _scrape(metrics)
    assert {name.split()[0] for name, value in found.items() if "main" in name.split()} == {
        *("ready", "owner", "buffer_bytes", "buffer_limit_bytes", "oldest_record_seconds", "producer_renewals"),
        "late_landing_seconds",
    }
    assert (found["owner main"], found["oldest_record_seconds main"]) == (0, 0.5)


async def test_the_lag_of_the_event_loop_is_measured() -> None:
    """While the loop turns, its lag is noted again and again."""
    metrics = Metrics("test")
    measuring = asyncio.create_task(measure_loop_lag(metrics.loop_lag))
    try:
        await until(
            lambda: metrics.registry.get_sample_value(f"{PREFIX}loop_lag_seconds_count", {"environment": "test"}),
            deadline_s=10,
        )
    finally:
        measuring.cancel()
        await asyncio.gather(measuring, return_exceptions=True)
