"""One run: the demo's cast on a real broker, and beside it what the demo does not show; then all that was written."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

from aiokafka import AIOKafkaProducer

from bridge.contract.topics import Stream, topic_name
from bridge.sandbox.demo.daemon import Daemon, DaemonPlan, run_daemon
from bridge.sandbox.demo.desk import TradingDesk
from bridge.sandbox.demo.orders import CommandMix
from bridge.sandbox.demo.readers import TopicReader, TopicRecords, read_topics, remove_topics_afterwards
from bridge.sandbox.demo.run import TradingRun
from bridge.sandbox.venue.settings import VenueSettings
from bridge.sandbox.venue.venue import Venue
from tests.records import rare
from tests.records.record import Records
from tests.witness.record import STREAMS
from tests.witness.topic_log import read_topic

_ACCOUNT: Final = "main"
_MARKET_STEP_S: Final = 0.1
_CALM_S: Final = 60.0
"""Until every gap is closed; REST may lag by 5 s with the demo's settings."""
_LATE_S: Final = 150.0
"""Until the venue was asked long enough about what never arrived (`late_landing_s` is 120 s)."""


@dataclass(frozen=True)
class Options:
    """How long the desk trades, how often the connections are cut, and whether every doubt is waited for."""

    seconds: float
    cuts: int
    rate_per_s: float
    seed: int
    lasting_doubts: bool


async def play(bootstrap: str, options: Options, say: Callable[[str], None]) -> Records:
    """Play it; return every record of every topic. The topics are removed."""
    prefix = f"records-{secrets.token_hex(4)}"
    async with remove_topics_afterwards(bootstrap, prefix, (_ACCOUNT,)), Venue(_venue(options)) as venue:
        plan = DaemonPlan(
            ws_url=venue.ws_url,
            rest_url=venue.rest_url,
            keys=(venue.keys[_ACCOUNT],),
            bootstrap_servers=bootstrap,
            topic_prefix=prefix,
        )
        async with run_daemon(plan) as daemon:
            await daemon.wait_until_ready()
            say(f"the daemon (pid {daemon.pid}) trades {options.seconds:g} s on {prefix}.{_ACCOUNT}.*")
            await _first_term(plan, venue, options, daemon, say)
        async with run_daemon(plan) as daemon:
            await daemon.wait_until_ready()
            say(f"a second owner (pid {daemon.pid}) has taken over")
            await _second_term(plan, daemon)
        # Nobody writes any more.
        return Records(
            [one for stream in STREAMS for one in await read_topic(bootstrap, f"{prefix}.{_ACCOUNT}.{stream}")]
        )


def _venue(options: Options) -> VenueSettings:
    return VenueSettings(step_period_s=_MARKET_STEP_S, seed=options.seed)


async def _first_term(
    plan: DaemonPlan, venue: Venue, options: Options, daemon: Daemon, say: Callable[[str], None]
) -> None:
    async with _desk(plan, CommandMix(venue.gateway.market.quotations, options.seed)) as (
        desk,
        tape,
        readers,
        producer,
    ):
        course = TradingRun(
            venue=venue,
            account=_ACCOUNT,
            desk=desk,
            topic_records=tape,
            readers=readers,
            add_note=say,
            seconds=options.seconds,
            rate_per_s=options.rate_per_s,
            cuts=options.cuts,
        )
        async with _watched(daemon):
            rare.trouble(venue, lasting=options.lasting_doubts)
            rare.pushes(venue, _ACCOUNT)
            await _write(producer, topic_name(plan.topic_prefix, _ACCOUNT, Stream.COMMANDS))
            cuts = await course.trade(asyncio.Event())
            await course.close()
            say(f"{len(cuts)} cuts; waiting until every gap is closed, and every doubt settled")
            if not await tape.wait_until(lambda: _is_calm(tape), _CALM_S):
                say(f"a gap is still open after {_CALM_S:g} s")
            if options.lasting_doubts and not await tape.wait_until(lambda: not _doubts(tape), _LATE_S):
                say(f"a command is still in doubt after {_LATE_S:g} s")


async def _second_term(plan: DaemonPlan, daemon: Daemon) -> None:
    """Let the next owner take over and close what its predecessor's end has opened."""
    tape = TopicRecords()
    async with _reading(plan, tape), _watched(daemon):
        await tape.wait_until(lambda: _is_calm(tape), _CALM_S)


@contextlib.asynccontextmanager
async def _desk(
    plan: DaemonPlan, mix: CommandMix
) -> AsyncIterator[tuple[TradingDesk, TopicRecords, list[TopicReader], AIOKafkaProducer]]:
    tape = TopicRecords()
    async with AIOKafkaProducer(bootstrap_servers=plan.bootstrap_servers, acks="all") as producer:
        desk = TradingDesk(producer, topic_name(plan.topic_prefix, _ACCOUNT, Stream.COMMANDS), mix, tape)
        async with _reading(plan, tape) as readers:
            yield desk, tape, readers, producer


@contextlib.asynccontextmanager
async def _reading(plan: DaemonPlan, tape: TopicRecords) -> AsyncIterator[list[TopicReader]]:
    async with (
        read_topics(plan.bootstrap_servers, plan.topic_prefix, _ACCOUNT, tape) as readers,
        asyncio.TaskGroup() as group,
    ):
        tasks = [group.create_task(reader.read()) for reader in readers]
        yield readers
        for task in tasks:
            task.cancel()


@contextlib.asynccontextmanager
async def _watched(daemon: Daemon) -> AsyncIterator[None]:
    """Fail when the daemon ends by itself, which nothing here would notice otherwise."""
    async with asyncio.TaskGroup() as group:
        watch = group.create_task(daemon.raise_at_end())
        yield
        watch.cancel()


async def _write(producer: AIOKafkaProducer, topic: str) -> None:
    """Write the rare commands, each with the headers that come back."""
    for key, value in rare.commands():
        await producer.send(topic, value=value, key=key, headers=rare.ECHO)
    await producer.flush()


def _is_calm(tape: TopicRecords) -> bool:
    types = [record.fields["type"] for record in tape[Stream.SESSION]]
    return types.count("gap.opened") == types.count("gap.closed") > 0


def _doubts(tape: TopicRecords) -> set[str]:
    """Return the commands whose only answer is that their fate is unknown."""
    rows = [record.fields for record in tape[Stream.RESULTS] if "commandId" in record.fields]
    return {row["commandId"] for row in rows} - {row["commandId"] for row in rows if row["outcome"] != "unknown"}
