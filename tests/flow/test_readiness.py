"""Readiness: whatever keeps an account from doing its part is named, with its reason and since when."""

from collections.abc import Callable

import pytest

from bridge.account_parts import clock
from bridge.contract.session import Cause
from bridge.errors import KafkaTrouble, LoginRefused, VenueRefused, VenueUnreachable
from bridge.flow.supervisor import AccountPhase
from tests.support.outside import Outside
from tests.witness.waiting import until

Step = Callable[[Outside], object]


def _no_broker(outside: Outside) -> None:
    outside.started.clear()
    outside.flow.wait_for_kafka("no broker answers at b:9092")


def _set(outside: Outside, **values: object) -> None:
    for path, value in values.items():
        part, _, name = path.partition("__")
        setattr(getattr(outside, part), name, value)


def _cut(outside: Outside, **values: object) -> None:
    """Change something and end the session, so that the next one meets it."""
    _set(outside, **values)
    outside.venue.session.drop(Cause.LINK_FAILED, "cut")


def _rotate_the_key(outside: Outside) -> None:
    _set(outside, venue__refusal=None)
    outside.new_key.set()


BEFORE: list[tuple[str, Step, Step, str, str]] = [
    ("no broker at the start", _no_broker, lambda o: o.started.set(), "kafka", "no broker answers at b:9092"),
    (
        "a group that refuses us",
        lambda o: _set(o, group__trouble=KafkaTrouble("grant it Read")),
        lambda o: _set(o, group__trouble=None),
        "kafka",
        "grant it Read",
    ),
    (
        "a takeover whose records do not become durable",
        lambda o: _set(o, topics__hold=True),
        lambda o: o.topics.release(),
        "takeover",
        "predecessor",
    ),
    (
        "a venue that cannot be connected to",
        lambda o: _set(o, venue__away="no connection to wss"),
        lambda o: _set(o, venue__away=""),
        "session",
        "here: link_failed: no connection to wss",
    ),
    (
        "a REST that is away",
        lambda o: _set(o, venue__rest_trouble=VenueUnreachable("HTTP 503")),
        lambda o: _set(o, venue__rest_trouble=None),
        "sweep",
        "HTTP 503",
    ),
    (
        "a REST that refuses",
        lambda o: _set(o, venue__rest_trouble=VenueRefused(2003, "the key may not")),
        lambda o: _set(o, venue__rest_trouble=None),
        "sweep",
        "2003: the key may not",
    ),
]
"""What is wrong before the account begins: how it is made so and mended, what is missing, and why."""

RUNNING: list[tuple[str, Step, Step, str, str]] = [
    (
        "a lost session",
        lambda o: _cut(o, venue__away="no route"),
        lambda o: _set(o, venue__away=""),
        "session",
        "here: link_failed: no route",
    ),
    (
        "more events than memory may hold",
        lambda o: _cut(o, topics__overfull=True),
        lambda o: _set(o, topics__overfull=False),
        "session",
        "more events wait for Kafka",
    ),
    (
        "a Kafka that acknowledges no commit",
        lambda o: _set(o, group__slow_s=1e6),
        lambda o: o.group.give_away(),
        "commits",
        "",
    ),
    (
        "records that do not become durable",
        lambda o: _set(o, topics__healthy=False),
        lambda o: _set(o, topics__healthy=True),
        "publishing",
        "wait for Kafka's acknowledgement",
    ),
    (
        "a topic that takes no record",
        lambda o: _set(o, topics__healthy=False, topics__why=["ltp.main.trades: lacks Write"]),
        lambda o: _set(o, topics__healthy=True),
        "publishing",
        "ltp.main.trades: lacks Write",
    ),
    (
        "a key that is refused for good",
        lambda o: _cut(o, venue__refusal=LoginRefused(2000, "signature")),
        _rotate_the_key,
        "operator",
        "2000: signature",
    ),
]


def _lacks(outside: Outside, what: str, why: str) -> bool:
    return any(one.what == what and why in one.detail for one in outside.flow.find_missing())


async def _check(outside: Outside, what: str, why: str, began_ms: int) -> None:
    """Wait until it is told, with the time since when."""
    await until(lambda: _lacks(outside, what, why), 20)
    assert not outside.flow.ready
    for one in outside.flow.find_missing():
        assert began_ms - 60_000 <= one.since_ms <= clock().wall_ms
        assert one.detail


@pytest.mark.parametrize(("broken", "mend", "what", "why"), [case[1:] for case in BEFORE], ids=[c[0] for c in BEFORE])
async def test_what_is_missing_at_the_start_is_reported(broken: Step, mend: Step, what: str, why: str) -> None:
    """From the first moment, whatever it is; and nothing is missing when it has been mended."""
    began_ms = clock().wall_ms
    outside = Outside()
    broken(outside)
    assert outside.flow.find_missing()
    async with outside.running(ready=False):
        await _check(outside, what, why, began_ms)
        mend(outside)
        await until(lambda: outside.trading, 20)
        assert outside.flow.find_missing() == []


@pytest.mark.parametrize(("broken", "mend", "what", "why"), [case[1:] for case in RUNNING], ids=[c[0] for c in RUNNING])
async def test_what_is_missing_later_is_reported(broken: Step, mend: Step, what: str, why: str) -> None:
    """The time is when that began, not when it was asked for; nothing is missing when it has been mended."""
    outside = Outside()
    async with outside.running():
        assert outside.flow.find_missing() == []
        began_ms = clock().wall_ms
        broken(outside)
        await _check(outside, what, why, began_ms)
        since_ms = {one.what: one.since_ms for one in outside.flow.find_missing()}
        await until(lambda: clock().wall_ms > began_ms + 50)
        for one in outside.flow.find_missing():
            assert abs(one.since_ms - since_ms.get(one.what, one.since_ms)) < 20
        outside.group.slow_s = 0.0
        mend(outside)
        if what == "commits":
            await until(lambda: outside.group.left == 1, 20)
            outside.group.trouble = None
        await until(lambda: outside.trading, 20)
        assert outside.flow.find_missing() == []


async def test_a_standby_lacks_nothing() -> None:
    """It does its part: another process owns the account."""
    outside = Outside()
    outside.group.given.clear()
    async with outside.running(ready=False):
        await until(lambda: outside.flow.phase is AccountPhase.STANDBY)
        assert outside.flow.find_missing() == []


async def test_a_refused_password_is_the_reason_wherever_kafka_is_needed() -> None:
    """Before the account begins and while it runs: what lacks a broker says why, and only that."""
    outside = Outside()
    _no_broker(outside)
    outside.refusal = "the brokers refused the password of user once"
    assert [(one.what, one.detail) for one in outside.flow.find_missing()] == [("kafka", outside.refusal)]
    outside.refusal = None
    outside.started.set()
    async with outside.running():
        outside.refusal = "the brokers refused the password of user once"
        assert outside.flow.find_missing() == []
        _set(outside, topics__healthy=False)
        (missing,) = outside.flow.find_missing()
        assert missing.detail.endswith(outside.refusal)
        _set(outside, topics__healthy=True)
        _cut(outside, venue__away="no route")
        await until(lambda: _lacks(outside, "session", "no route"), 20)
        assert not _lacks(outside, "session", outside.refusal)
