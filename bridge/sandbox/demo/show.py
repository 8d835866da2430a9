"""`ltp-bridge demo`: a real broker, the sandbox venue, the daemon as its own process, a trading desk, and readers.

Every process that it starts ends with it, however it ends.
"""

import asyncio
import contextlib
import secrets
import sys
import time
from typing import Final

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from rich.console import Console

from bridge.contract.topics import Stream, topic_name
from bridge.sandbox.broker.launcher import start_broker
from bridge.sandbox.demo.check import PushLatencies
from bridge.sandbox.demo.daemon import Daemon, DaemonPlan, run_daemon
from bridge.sandbox.demo.desk import TradingDesk
from bridge.sandbox.demo.display_model import DisplayModel
from bridge.sandbox.demo.interruption import Interruption, RunPhase, handle_signals
from bridge.sandbox.demo.live_view import LiveView
from bridge.sandbox.demo.orders import CommandMix
from bridge.sandbox.demo.readers import TopicRecords, choose_prefix, read_topics
from bridge.sandbox.demo.report import DemoReport, RunFacts, encode_report, make_report, print_report
from bridge.sandbox.demo.run import ConnectionCut, DemoFailed, TradingRun
from bridge.sandbox.demo.running_check import RunningCheck
from bridge.sandbox.demo.second_terminal import SecondTerminal
from bridge.sandbox.demo.view import DemoView, PlainView
from bridge.sandbox.venue.settings import VenueSettings
from bridge.sandbox.venue.venue import Venue
from bridge.terminal import EscapingConsole

_ACCOUNT: Final = "main"
_MARKET_STEP_S = 0.1
_INTERRUPTED: Final = 130


class DemoOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options of the command line. Without `seconds` the demo runs until Ctrl-C."""

    seconds: float | None = None
    as_json: bool = False
    cuts: int = 0
    rate_per_s: float = 10.0
    seed: int = 1


async def run(options: DemoOptions) -> int:
    """Run the demo; return the exit code: 0 when nothing is wrong, 1 when something is, 130 when it was interrupted.

    Raises BridgeError when a part cannot be started or ends by itself.
    """
    console = EscapingConsole(file=sys.stdout, soft_wrap=True)
    try:
        with handle_signals() as interruption:
            result = await _Demo(options, console, interruption).run()
    except asyncio.CancelledError:
        console.print("broken off; everything is taken down")
        return _INTERRUPTED
    except BaseExceptionGroup as group:
        raise _first_error(group) from group
    except KafkaError as error:
        raise DemoFailed(f"the demo's own Kafka client failed: {error!r}") from error
    print_report(result, console)
    if options.as_json:
        console.out(encode_report(result))
    return 1 if result.wrong else 0


def _first_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first error of a task group; the others follow from it."""
    first = group.exceptions[0]
    return _first_error(first) if isinstance(first, BaseExceptionGroup) else first


class _Demo:
    """One run of the demo, from the start of its parts to the report."""

    def __init__(self, options: DemoOptions, console: Console, interruption: Interruption) -> None:
        self._options = options
        self._console = console
        self._interruption = interruption
        self._began_monotonic_s = time.monotonic()

    def _print_progress(self, text: str) -> None:
        self._console.out(f"{time.monotonic() - self._began_monotonic_s:6.1f} s  {text}", style="dim")

    async def run(self) -> DemoReport:
        """Start every part, trade, stop every part, and return the report."""
        settings = VenueSettings(step_period_s=_MARKET_STEP_S, seed=self._options.seed)
        async with start_broker(self._print_progress) as broker, Venue(settings) as venue:
            self._print_progress(f"Kafka ({broker.kind}) answers at {broker.bootstrap_servers}")
            self._print_progress(f"sandbox venue listens at {venue.ws_url} and {venue.rest_url}")
            given = f"ltp-demo-{secrets.token_hex(4)}"
            async with choose_prefix(broker, given, (_ACCOUNT,)) as prefix:
                plan = DaemonPlan(
                    ws_url=venue.ws_url,
                    rest_url=venue.rest_url,
                    keys=(venue.keys[_ACCOUNT],),
                    bootstrap_servers=broker.bootstrap_servers,
                    topic_prefix=prefix,
                )
                async with run_daemon(plan) as daemon:
                    self._print_progress(f"daemon started (pid {daemon.pid})")
                    await daemon.wait_until_ready()
                    result = await self._trade_and_check(broker.bootstrap_servers, venue, daemon, prefix)
                    self._interruption.phase = RunPhase.TAKING_DOWN
                    self._print_progress("taking everything down")
        if daemon.exit_code != 0:
            result.wrong.append(f"the daemon ended with exit {daemon.exit_code}; its log:\n{daemon.log_tail}")
        return result

    async def _trade_and_check(self, servers: str, venue: Venue, daemon: Daemon, prefix: str) -> DemoReport:
        """Let the desk trade until the end, and return the report."""
        options, topic_records, key = self._options, TopicRecords(), venue.keys[_ACCOUNT]
        async with contextlib.AsyncExitStack() as stack:
            producer = AIOKafkaProducer(bootstrap_servers=servers, acks="all", enable_idempotence=True)
            stack.push_async_callback(producer.stop)
            await producer.start()
            mix = CommandMix(venue.gateway.market.quotations, options.seed)
            desk = TradingDesk(producer, topic_name(prefix, _ACCOUNT, Stream.COMMANDS), mix, topic_records)
            latencies = PushLatencies(venue.ledger, key.portfolio_id)
            second_terminal = SecondTerminal(
                page_url=daemon.page_url,
                bootstrap_servers=servers,
                topic_prefix=prefix,
                account=_ACCOUNT,
                is_only_account=True,
                config=daemon.config,
            )
            check = RunningCheck(venue.ledger, key.portfolio_id, topic_records)
            display = DisplayModel(topic_records, desk, latencies, check, second_terminal)
            trading_run = TradingRun(
                venue=venue,
                account=_ACCOUNT,
                desk=desk,
                topic_records=topic_records,
                readers=await stack.enter_async_context(read_topics(servers, prefix, _ACCOUNT, topic_records)),
                add_note=display.add_note,
                seconds=options.seconds,
                rate_per_s=options.rate_per_s,
                cuts=options.cuts,
            )
            begun_monotonic_s = time.monotonic()
            self._print_progress(f"ready: topics {prefix}.{_ACCOUNT}.*")
            for line in second_terminal.describe():
                self._console.out(line)
            cuts, until = await self._run_and_show(trading_run, display, daemon)
            return make_report(
                RunFacts(
                    ledger=venue.ledger,
                    until=until,
                    key=key,
                    topic_records=topic_records,
                    desk=desk,
                    latencies=latencies,
                    cuts=len(cuts),
                    setup_s=begun_monotonic_s - self._began_monotonic_s,
                    begun_monotonic_s=begun_monotonic_s,
                )
            )

    async def _run_and_show(
        self, trading_run: TradingRun, display: DisplayModel, daemon: Daemon
    ) -> tuple[list[ConnectionCut], int]:
        """Read the topics, show them and watch the daemon during the run.

        Return the cuts, and the number of the ledger's entry up to which the topics must be complete.
        """
        live = self._console.is_terminal and not self._options.as_json
        view: DemoView = LiveView(display, self._console) if live else PlainView(display, self._console)
        with view:
            async with asyncio.TaskGroup() as group:
                background = [
                    *(group.create_task(reader.read(), name="demo:reader") for reader in trading_run.readers),
                    group.create_task(view.show(), name="demo:view"),
                    group.create_task(daemon.raise_at_end(), name="demo:daemon"),
                    group.create_task(daemon.watch_budgets(_ACCOUNT, display.set_budgets), name="demo:budgets"),
                ]
                self._interruption.phase = RunPhase.RUNNING
                cuts = await trading_run.trade(self._interruption.stop_requested)
                self._interruption.phase = RunPhase.ENDING
                until = await trading_run.close()
                for task in background:
                    task.cancel()
        return cuts, until
