"""Topics that are lost and grants that are missing: told on `session`, and the reason why an account is not ready."""

import pytest

from bridge.contract.topics import Stream
from bridge.core.topic_losses import MissingGrant
from bridge.flow import term
from tests.support.outside import Outside
from tests.witness.waiting import until


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look often, so that a test is short."""
    monkeypatch.setattr(term, "_WATCH_PERIOD_S", 0.02)


def lacking(outside: Outside) -> list[tuple[str, str]]:
    """Return what the account lacks, and why."""
    return [(one.what, one.detail) for one in outside.flow.find_missing()]


async def test_a_lost_topic_is_an_alarm_until_it_is_mended() -> None:
    """The watch is called when everything has been published, and the account is ready again."""
    out = Outside()
    async with out.running():
        out.watched.lose(Stream.TRADES, "it does not exist; make it")
        await until(lambda: out.topics.session_events("alarm.raised"))
        assert lacking(out) == [("topics", "it does not exist; make it")]
        out.watched.lose(Stream.TRADES)
        await until(lambda: not out.watched.losses)
        await until(lambda: out.topics.session_events("alarm.cleared"))
        assert out.flow.ready


async def test_a_missing_grant_is_an_alarm_until_it_is_given() -> None:
    """By its topic, on `session` and by readiness."""
    out = Outside()
    async with out.running():
        out.watched.grants = [MissingGrant("ltp.main.trades", 1, "lacks Write")]
        await until(lambda: out.topics.session_events("alarm.raised"))
        assert lacking(out) == [("topics", "lacks Write")]
        out.watched.grants = []
        await until(lambda: out.topics.session_events("alarm.cleared"))
        assert out.flow.ready


async def test_a_standby_that_could_not_take_over_is_not_ready() -> None:
    """Else it would be noticed only when the owner is gone."""
    out = Outside()
    out.group.given.clear()
    out.watched.grants = [MissingGrant("ltp.main.orders", 1, "lacks Read")]
    async with out.running(ready=False):
        await until(lambda: out.members)
        assert ("topics", "lacks Read") in lacking(out)
