"""What is measured: each case with what stands beside it, in alternating rounds."""

import argparse
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any, Final, NamedTuple

from tests.bench.commands import limit_queue, measure_burst, measure_one_by_one, measure_queued
from tests.bench.events import measure_flood, measure_idle, measure_paced
from tests.bench.stage import Measured, Stage
from tests.bench.takeover import measure_takeover
from tests.bench.topics import ACCOUNT

Measure = Callable[[Stage], Awaitable[Measured]]

SCENARIOS: Final = ("flood", "paced", "place", "cancel", "burst", "queued", "idle", "accounts", "takeover")
_ACCOUNT_PER_S: Final = 20.0
_ALONE_PER_S: Final = 1000.0


class Contender(NamedTuple):
    """One side of a case: its name and its measurement."""

    name: str
    measure: Measure


class Case(NamedTuple):
    """What is measured, and what beside it; None where it is compared with nothing."""

    name: str
    measured: Contender
    beside: Contender | None = None


def list_cases(options: argparse.Namespace) -> list[Case]:
    """Return the cases of the chosen scenarios."""
    makers: dict[str, Callable[[argparse.Namespace], Iterator[Case]]] = {
        "flood": _make_flood,
        "paced": _make_paced,
        "place": partial(_make_one_by_one, name="place", cancels=False),
        "cancel": partial(_make_one_by_one, name="cancel", cancels=True),
        "burst": _make_burst,
        "queued": _make_queued,
        "idle": _make_idle,
        "accounts": _make_accounts,
        "takeover": _make_takeover,
    }
    return [case for scenario in options.scenarios for case in makers[scenario](options)]


def _on_daemon(measure: Callable[..., Awaitable[Measured]], *args: Any, **named: Any) -> Contender:  # noqa: ANN401 - passed on
    async def run(stage: Stage) -> Measured:
        async with stage.daemon() as contestant:
            return await measure(stage, contestant, *args, **named)

    return Contender("bridge", run)


def _on_events_floor(measure: Callable[..., Awaitable[Measured]], *args: Any) -> Contender:  # noqa: ANN401 - as above
    async def run(stage: Stage) -> Measured:
        async with stage.events_floor() as contestant:
            return await measure(stage, contestant, *args)

    return Contender("floor", run)


def _on_relay(measure: Callable[..., Awaitable[Measured]], *args: Any, commit: bool, **named: Any) -> Contender:  # noqa: ANN401 - as above
    async def run(stage: Stage) -> Measured:
        async with stage.relay_floor(commit=commit) as contestant:
            return await measure(stage, contestant, *args, **named)

    return Contender("floor", run)


def _make_flood(options: argparse.Namespace) -> Iterator[Case]:
    contenders = (on(measure_flood, options.pushes) for on in (_on_daemon, _on_events_floor))
    yield Case(f"flood of {options.pushes:,} pushes", *contenders)


def _make_paced(options: argparse.Namespace) -> Iterator[Case]:
    for per_s in options.rates:
        contenders = (on(measure_paced, per_s, options.seconds) for on in (_on_daemon, _on_events_floor))
        yield Case(f"{per_s:,g} pushes per s", *contenders)


def _make_one_by_one(options: argparse.Namespace, *, name: str, cancels: bool) -> Iterator[Case]:
    count = options.cancels if cancels else options.places
    yield Case(
        f"one {name} at a time",
        _on_daemon(measure_one_by_one, count, cancels=cancels),
        _on_relay(measure_one_by_one, count, commit=not cancels, cancels=cancels),
    )


def _make_burst(options: argparse.Namespace) -> Iterator[Case]:
    relay = _on_relay(measure_burst, options.burst, commit=True)
    yield Case(f"burst of {options.burst:,} places", _on_daemon(measure_burst, options.burst), relay)


def _make_queued(options: argparse.Namespace) -> Iterator[Case]:
    limits = limit_queue(options.queued, options.queued_cancels)

    async def run(stage: Stage) -> Measured:
        async with stage.daemon(limits=limits) as contestant:
            return await measure_queued(stage, contestant, options.queued, options.queued_cancels)

    yield Case(f"{options.queued_cancels:,} cancels while {options.queued:,} places wait", Contender("bridge", run))


def _make_idle(options: argparse.Namespace) -> Iterator[Case]:
    async def measure(_: Stage, *args: Any) -> Measured:  # noqa: ANN401 - passed on
        return await measure_idle(*args)

    times = options.idle_seconds, options.idle_after
    yield Case(f"idle for {times[0]:g} s", _on_daemon(measure, *times), _on_relay(measure, *times, commit=True))


def _make_accounts(options: argparse.Namespace) -> Iterator[Case]:
    """Compare the most accounts with one that gets as much; the fewer stand alone."""
    alone = _on_accounts(1, _ALONE_PER_S, options.seconds, f"one, {_ALONE_PER_S:,g} per s")
    for count in options.accounts:
        measured = _on_accounts(count, _ACCOUNT_PER_S * count, options.seconds)
        yield Case(
            f"accounts: {count} in one process, {_ACCOUNT_PER_S:g} pushes per s each",
            measured,
            alone if count == max(options.accounts) else None,
        )


def _on_accounts(count: int, per_s: float, seconds: float, name: str = "bridge") -> Contender:
    names = _name_accounts(count)

    async def run(stage: Stage) -> Measured:
        async with stage.daemon(names) as contestant:
            return await measure_paced(stage, contestant, per_s, seconds, names)

    return Contender(name, run)


def _name_accounts(count: int) -> list[str]:
    return [ACCOUNT, *(f"a{number:02}" for number in range(1, count))]


def _make_takeover(options: argparse.Namespace) -> Iterator[Case]:
    count = max(options.accounts)

    async def run(stage: Stage) -> Measured:
        async with stage.owner_and_standby(_name_accounts(count)) as (owner, standby):
            return await measure_takeover(owner, standby, _name_accounts(count))

    yield Case(f"takeover of {count} accounts after kill -9", Contender("bridge", run))
