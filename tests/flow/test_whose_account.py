"""Whose account it is: two environments, or two portfolios, under one prefix and name must never take turns."""

import json

from bridge.account_parts import clock
from bridge.contract.session import Cause
from bridge.contract.topics import Stream
from bridge.core.commands.claims import Origin, decode
from bridge.errors import LoginRefused
from bridge.flow.supervisor import AccountPhase
from tests.support.one_account import place
from tests.support.outside import Outside
from tests.witness.waiting import until


def balance(portfolio_id: str) -> bytes:
    """Show a balance as the venue does."""
    row = {"portfolioId": portfolio_id, "coin": "USDT", "exchangeType": "BINANCE", "balance": "5"}
    return json.dumps({**row, "updateAt": str(clock().wall_ms)}).encode()


def origin_of(outside: Outside) -> Origin:
    """Return what the group's commit says about whose it is."""
    stored = decode(outside.group.committed.metadata, outside.group.committed.offset or 0)
    assert stored is not None
    return stored.origin


async def traded(outside: Outside) -> None:
    """Own the account once, with a balance on its topic and a command answered."""
    async with outside.running():
        await outside.closed(1)
        outside.group.write(place("first"))
        await until(lambda: outside.topics.outcomes("first") == ["accepted"])


async def stopped(outside: Outside) -> str:
    """Start; return why the account has stopped."""
    sessions, written = len(outside.venue.sessions), len(outside.venue.written)
    outside.group.write(place("second"))
    async with outside.running(ready=False):
        await until(lambda: outside.flow.phase is AccountPhase.STOPPED)
    assert (sessions, written) == (len(outside.venue.sessions), len(outside.venue.written))
    assert [] == outside.topics.outcomes("second")
    assert ["foreign_owner"] == [alarm["alarm"] for alarm in outside.topics.session_events("alarm.raised")]
    return outside.flow.detail


async def test_another_environment_stops_and_sends_nothing() -> None:
    """It says whose the account is and what to do, logs in nowhere, and leaves the commit to its owner."""
    outside = Outside(rest_lag_s=0.2)
    await traded(outside)
    outside.environment = "production"
    detail = await stopped(outside)
    assert ("'sandbox'" in detail, "'production'" in detail, "topic_prefix" in detail) == (True, True, True)
    assert "sandbox" == origin_of(outside).environment
    outside.environment = "sandbox"
    async with outside.running():
        await until(lambda: outside.topics.outcomes("second") == ["accepted"])


async def test_another_environment_is_noticed_without_the_commit() -> None:
    """The takeover record on `results` names environment and key as well, and never the key itself."""
    outside = Outside(rest_lag_s=0.2)
    await traded(outside)
    takeovers = [json.loads(one.value or b"") for one in outside.topics.said() if one.stream is Stream.RESULTS]
    assert ("sandbox", "key-1") == (takeovers[0]["environment"], takeovers[0]["keyFingerprint"])
    outside.group.commit(None)
    outside.environment = "production"
    assert "'sandbox'" in await stopped(outside)


async def test_a_key_of_another_portfolio_stops() -> None:
    """Both portfolios are named, and both fingerprints."""
    outside = Outside(rest_lag_s=0.2)
    outside.venue.balances = [balance("7")]
    await traded(outside)
    outside.key, outside.venue.balances = "key-2", [balance("8")]
    detail = await stopped(outside)
    assert [True] * 4 == [word in detail for word in ("portfolio 7", "portfolio 8", "key-1", "key-2")]
    assert "key-1" == origin_of(outside).key_fingerprint


async def test_a_rotated_key_of_the_same_portfolio_is_taken() -> None:
    """The venue shows it the portfolio that the topics are about; the commit names it once the venue let it log in."""
    outside = Outside(rest_lag_s=0.2)
    outside.venue.balances = [balance("7")]
    await traded(outside)
    outside.key = "key-2"
    outside.group.write(place("second"))
    async with outside.running():
        await until(lambda: outside.topics.outcomes("second") == ["accepted"])
        await until(lambda: origin_of(outside).key_fingerprint == "key-2")


async def test_a_key_that_is_rotated_under_a_running_owner_is_the_accounts() -> None:
    """The next login takes the new key from its file; a successor with that key finds it in the commit."""
    outside = Outside(rest_lag_s=0.2)
    async with outside.running():
        outside.key = "key-2"
        outside.venue.session.drop(Cause.LINK_FAILED, "cut")
        await until(lambda: origin_of(outside).key_fingerprint == "key-2")


async def test_a_key_that_the_venue_never_accepted_is_in_no_commit() -> None:
    """A mistyped key of the first start is corrected without a word: no commit names it."""
    outside = Outside(rest_lag_s=0.2)
    outside.key, outside.venue.refusal = "mistyped", LoginRefused(60009, "Login failed.")
    async with outside.running(ready=False):
        await until(lambda: outside.flow.phase is AccountPhase.STOPPED)
    assert "" == origin_of(outside).key_fingerprint
    outside.key, outside.venue.refusal = "key-1", None
    async with outside.running():
        await until(lambda: origin_of(outside).key_fingerprint == "key-1")
