"""Limits of REST that the venue refused for their rate: told, and told again when they are whole."""

import pytest

from bridge.flow import term
from tests.support.outside import Outside
from tests.witness.waiting import until


async def test_each_slowed_limit_is_an_alarm_while_it_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, with its name; the end of one alarm does not end another."""
    monkeypatch.setattr(term, "_WATCH_PERIOD_S", 0.02)
    out = Outside()
    async with out.running():
        out.venue.slowed_limits = ["rest_executions", "rest_history"]
        await until(lambda: len(out.topics.session_events("alarm.raised")) == 2)
        out.venue.slowed_limits = ["rest_history"]
        await until(lambda: out.topics.session_events("alarm.cleared"))
        out.venue.slowed_limits = []
        await until(lambda: len(out.topics.session_events("alarm.cleared")) == 2)
    raised, cleared = (out.topics.session_events(kind) for kind in ("alarm.raised", "alarm.cleared"))
    assert {one["alarm"] for one in [*raised, *cleared]} == {"rate_rejected"}
    assert {one["subject"] for one in raised} == {"rest_executions", "rest_history"}
    assert [one["subject"] for one in cleared] == ["rest_executions", "rest_history"]
