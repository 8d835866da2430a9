"""`ltp-bridge sandbox --broker`: broker, venue and daemon on fixed ports, without a trading desk.

Every process that it starts ends with it, however it ends.
"""

import asyncio
import time
from typing import IO, Final

import msgspec

from bridge.sandbox.broker.cluster import check_port_is_free
from bridge.sandbox.broker.launcher import start_broker
from bridge.sandbox.demo.daemon import Daemon, DaemonPlan, run_daemon
from bridge.sandbox.demo.interruption import Interruption, RunPhase, handle_signals
from bridge.sandbox.demo.readers import choose_prefix
from bridge.sandbox.demo.second_terminal import SecondTerminal
from bridge.sandbox.venue.serve import announce_sandbox
from bridge.sandbox.venue.settings import VenueSettings
from bridge.sandbox.venue.venue import Venue

_GIVEN_PREFIX: Final = "ltp-sandbox"
"""The topic prefix on a given broker."""
_INTERRUPTED: Final = 130


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a run. `out` gets the addresses and keys once all is ready, `progress` the steps before."""

    venue: VenueSettings
    kafka_port: int
    management_port: int
    as_json: bool
    out: IO[str]
    progress: IO[str]


async def run(environment: Environment) -> int:
    """Run the environment until SIGINT or SIGTERM; return the exit code: 0, or 130 when it was interrupted earlier.

    Raises BridgeError when a part cannot be started or ends by itself, and OSError when a port is taken.
    """
    try:
        with handle_signals() as interruption:
            await _run_environment(environment, interruption)
    except asyncio.CancelledError:
        return _INTERRUPTED
    return 0


async def _run_environment(environment: Environment, interruption: Interruption) -> None:
    began_s = time.monotonic()

    def print_progress(text: str) -> None:
        environment.progress.write(f"{time.monotonic() - began_s:6.1f} s  {text}\n")
        environment.progress.flush()

    # Otherwise another process on the port could answer the readiness check in place of the daemon.
    check_port_is_free(environment.management_port, "the daemon (--management-port)")
    names = tuple(account.name for account in environment.venue.accounts)
    async with (
        Venue(environment.venue) as venue,
        start_broker(print_progress, port=environment.kafka_port) as broker,
        choose_prefix(broker, _GIVEN_PREFIX, names) as prefix,
    ):
        plan = DaemonPlan(
            ws_url=venue.ws_url,
            rest_url=venue.rest_url,
            keys=tuple(venue.keys),
            bootstrap_servers=broker.bootstrap_servers,
            topic_prefix=prefix,
            management_port=environment.management_port,
        )
        async with run_daemon(plan) as daemon:
            print_progress(f"daemon started (pid {daemon.pid})")
            await daemon.wait_until_ready()
            second_terminal = SecondTerminal(
                page_url=daemon.page_url,
                bootstrap_servers=broker.bootstrap_servers,
                topic_prefix=prefix,
                account=names[0],
                is_only_account=len(names) == 1,
                config=daemon.config,
                streams=("orders", "trades"),
            )
            facts = {
                "bootstrap_servers": broker.bootstrap_servers,
                "topic_prefix": prefix,
                "page_url": daemon.page_url,
                "ready_url": daemon.ready_url,
                "ws_url": venue.ws_url,
                "rest_url": venue.rest_url,
                "config": str(daemon.config),
            }
            title = "Broker, sandbox venue and daemon are running; Ctrl-C ends them."
            environment.out.write(announce_sandbox(title, facts, venue.keys, as_json=environment.as_json))
            if not environment.as_json:
                environment.out.writelines(f"{line}\n" for line in ("", *second_terminal.describe()))
            environment.out.flush()
            interruption.phase = RunPhase.RUNNING
            await _wait_for_stop(interruption, daemon)
            interruption.phase = RunPhase.TAKING_DOWN
            print_progress("taking everything down")


async def _wait_for_stop(interruption: Interruption, daemon: Daemon) -> None:
    """Wait for a signal. Raises DaemonFailed when the daemon ends before."""
    stop_wait, ended = (
        asyncio.create_task(interruption.stop_requested.wait()),
        asyncio.create_task(daemon.raise_at_end()),
    )
    try:
        done, _ = await asyncio.wait((stop_wait, ended), return_when=asyncio.FIRST_COMPLETED)
        if ended in done:
            ended.result()
    finally:
        stop_wait.cancel()
        ended.cancel()
        await asyncio.wait((stop_wait, ended))
