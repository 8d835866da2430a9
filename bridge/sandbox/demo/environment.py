"""`ltp-bridge sandbox --broker`: broker, venue and daemon on fixed ports, and nobody who trades.

Everything it starts ends with it, whatever way it ends.
"""

import asyncio
import time
from typing import IO, Final

import msgspec

from bridge.sandbox.broker.cluster import check_port_is_free
from bridge.sandbox.broker.launcher import start_broker
from bridge.sandbox.demo.daemon import Daemon, DaemonPlan, run_daemon
from bridge.sandbox.demo.interruption import Interruption, RunPhase, interruptible
from bridge.sandbox.demo.readers import choose_prefix
from bridge.sandbox.venue.serve import announce_sandbox
from bridge.sandbox.venue.settings import VenueSettings
from bridge.sandbox.venue.venue import Venue

_GIVEN_PREFIX: Final = "ltp-sandbox"
"""Of the topics on a broker that is somebody else's."""
_INTERRUPTED: Final = 130


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be run. `out` gets the addresses and keys once all is ready, `progress` what happens until then."""

    venue: VenueSettings
    kafka_port: int
    management_port: int
    as_json: bool
    out: IO[str]
    progress: IO[str]


async def run(environment: Environment) -> int:
    """Run it until SIGINT or SIGTERM; return the exit code: 0, or 130 when it was broken off while it started.

    Raises BridgeError when a part cannot be started or ends by itself, and OSError when a port is taken.
    """
    try:
        with interruptible() as interruption:
            await _run(environment, interruption)
    except asyncio.CancelledError:
        return _INTERRUPTED
    return 0


async def _run(environment: Environment, interruption: Interruption) -> None:
    began_s = time.monotonic()

    def tell(text: str) -> None:
        environment.progress.write(f"{time.monotonic() - began_s:6.1f} s  {text}\n")
        environment.progress.flush()

    # Else the readiness of the process that has the port would be taken for that of the daemon.
    check_port_is_free(environment.management_port, "the daemon (--management-port)")
    names = tuple(account.name for account in environment.venue.accounts)
    async with (
        Venue(environment.venue) as venue,
        start_broker(tell, port=environment.kafka_port) as broker,
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
            tell(f"daemon started (pid {daemon.pid})")
            await daemon.wait_until_ready()
            facts = {
                "bootstrap_servers": broker.bootstrap_servers,
                "topic_prefix": prefix,
                "ready_url": daemon.ready_url,
                "ws_url": venue.ws_url,
                "rest_url": venue.rest_url,
            }
            title = "Broker, sandbox venue and daemon are running; Ctrl-C ends them."
            environment.out.write(announce_sandbox(title, facts, venue.keys, as_json=environment.as_json))
            environment.out.flush()
            interruption.phase = RunPhase.RUNNING
            await _until_asked(interruption, daemon)
            interruption.phase = RunPhase.TAKING_DOWN
            tell("taking everything down")


async def _until_asked(interruption: Interruption, daemon: Daemon) -> None:
    """Wait for a signal. Raises DaemonFailed when the daemon ends before."""
    asked, ended = asyncio.create_task(interruption.stop_requested.wait()), asyncio.create_task(daemon.raise_at_end())
    try:
        done, _ = await asyncio.wait((asked, ended), return_when=asyncio.FIRST_COMPLETED)
        if ended in done:
            ended.result()
    finally:
        asked.cancel()
        ended.cancel()
        await asyncio.wait((asked, ended))
