"""`make spread`: many accounts over three replicas; one is killed, a fourth joins, and accounts are handed over.

Real processes on a real broker at the default settings; the sandbox venue, which has a key for each account, runs in
this process. Exit code 1 says that a place was lost, answered or sent twice, or that a part was not as promised.
"""

import argparse
import asyncio
import json
import logging
import os
import sys
import tempfile
import time
from asyncio.subprocess import PIPE
from collections import Counter
from contextlib import AsyncExitStack
from http import HTTPStatus
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import aiohttp

from bridge.kafka.owners import read_groups
from bridge.sandbox.broker.launcher import start_broker
from bridge.sandbox.venue.settings import AccountSettings, VenueSettings
from bridge.sandbox.venue.venue import Venue
from tests.spread.traders import Traders
from tests.support.replica import replica
from tests.support.rig import Rig
from tests.witness.child_process import start_module
from tests.witness.console import say
from tests.witness.waiting import until

if TYPE_CHECKING:
    from tests.witness.replica import Replica

TRADING_S = 10.0
"""From the kill of a replica to the first answer of each of its accounts."""
_SHARE = 0.5
_READY_S = 180.0
_LOOK_S = 0.5
_STILL_S = 10.0
_PAUSE_S = 0.05


class Spread:
    """One run."""

    def __init__(self, rig: Rig, accounts: list[str]) -> None:
        self._rig = rig
        self._accounts = accounts
        self._replicas: dict[str, Replica] = {}
        self.failed: list[str] = []
        self.found: dict[str, Any] = {}

    async def run(self) -> None:
        """Go through all parts."""
        async with AsyncExitStack() as stack:
            begun_s = time.monotonic()
            await asyncio.gather(*(self._start(stack, f"replica-{number}") for number in (1, 2, 3)))
            await self._all_open()
            took_s = time.monotonic() - begun_s
            say(f"three replicas with {len(self._accounts)} accounts trade {took_s:.1f} s after the start")
            await self._tell_owners("as they came")
            traders = await stack.enter_async_context(Traders(self._rig, self._accounts))
            await traders.place_on_all(self._accounts)
            await self._rebalance("first", traders)
            self._require_even("after the first rebalance", await self._tell_owners("after a rebalance"))
            await self._kill(traders, "replica-2")
            await self._join(stack, traders)
            await self._rebalance("second", traders)
            await self._tell_owners("after a rebalance with the fourth")
            await self._ask_readiness()
            self.found["orders"] = traders.count_faults()
            say(f"orders of the whole run: {self.found['orders']}")
            for fault in ("without_answer", "answered_twice", "sent_twice"):
                if self.found["orders"][fault]:
                    self.failed.append(f"{self.found['orders'][fault]} places {fault}")

    async def _start(self, stack: AsyncExitStack, name: str) -> None:
        one = await stack.enter_async_context(replica(self._rig, accounts=self._accounts, instance=name))
        self._replicas[name] = one

    async def _owners(self) -> dict[str, str]:
        """Return the owner of each account, as soon as each has one."""
        settings = self._rig.settings(accounts=self._accounts)
        async with asyncio.timeout(_READY_S):
            while True:
                groups = await read_groups(settings.kafka, self._accounts)
                if all(group.placement is not None for group in groups.values()):
                    return {name: one.placement.owner.instance for name, one in groups.items() if one.placement}
                await asyncio.sleep(_LOOK_S)

    async def _tell_owners(self, when: str) -> dict[str, int]:
        counts = Counter((await self._owners()).values())
        spread = {name: counts[name] for name in sorted(self._replicas)}
        say(f"owners {when}: " + ", ".join(f"{name} {count}" for name, count in spread.items()))
        self.found[f"owners {when}"] = spread
        return spread

    def _require_even(self, when: str, spread: dict[str, int]) -> None:
        share = len(self._accounts) / len(spread)
        if not all(share * (1 - _SHARE) <= count <= share * (1 + _SHARE) for count in spread.values()):
            self.failed.append(f"{when} the spread is not within half of {share:g}: {spread}")

    async def _all_open(self) -> None:
        """Wait until every account carries out every command, and each replica has joined all groups."""
        deadline_s = time.monotonic() + _READY_S
        while True:
            opened = sum(len(one.logged("recovery.complete")) for one in self._replicas.values())
            joined = [
                len({line["account"] for line in one.logged("account.standby")}) for one in self._replicas.values()
            ]
            if opened >= len(self._accounts) and all(count == len(self._accounts) for count in joined):
                return
            if time.monotonic() > deadline_s:
                raise AssertionError(f"{opened} of {len(self._accounts)} accounts trade; joined: {joined}")
            await asyncio.sleep(_LOOK_S)

    async def _kill(self, traders: Traders, name: str) -> None:
        """Kill a replica, and measure how soon each of its accounts trades again."""
        owners = await self._owners()
        orphans = [account for account, owner in owners.items() if owner == name]
        killed_s = time.monotonic()
        self._replicas.pop(name).kill()
        sent = await traders.place_on_all(orphans)
        took = sorted(one.answered_s - killed_s for one in sent)
        say(f"kill -9 of {name} with {len(orphans)} accounts")
        say(f"  they trade again after {median(took):.2f} s (p50), the slowest after {took[-1]:.2f} s")
        self.found["kill"] = {"accounts": len(orphans), "p50_s": median(took), "max_s": took[-1]}
        after = await self._owners()
        heirs = Counter(after[account] for account in orphans)
        say("  its accounts went to " + ", ".join(f"{heir} {count}" for heir, count in sorted(heirs.items())))
        if took[-1] > TRADING_S:
            self.failed.append(f"an account of the killed replica traded after {took[-1]:.2f} s")
        if set(heirs) != set(self._replicas):
            self.failed.append(f"the accounts of the killed replica went to {set(heirs)}")
        if any(after[account] != owner for account, owner in owners.items() if owner != name):
            self.failed.append("an account of a live replica moved")

    async def _join(self, stack: AsyncExitStack, traders: Traders) -> None:
        """Let a fourth join; nothing moves."""
        before, begun_s = await self._owners(), time.monotonic()
        async with traders.trading(_PAUSE_S):
            await self._start(stack, "replica-4")
            await self._all_joined("replica-4")
            say(f"replica-4 has joined all groups {time.monotonic() - begun_s:.1f} s after its start")
            await asyncio.sleep(_STILL_S)
        moved = sum(owner != before[account] for account, owner in (await self._owners()).items())
        say(f"  {_STILL_S:g} s later {moved} accounts have moved")
        if moved:
            self.failed.append(f"{moved} accounts moved unasked")

    async def _all_joined(self, name: str) -> None:
        def joined() -> bool:
            lines = self._replicas[name].logged("account.standby")
            return {line["account"] for line in lines} == set(self._accounts)

        await until(joined, _READY_S, f"{name} in all groups")

    async def _ask_readiness(self) -> None:
        """Ask every replica for `/readyz`: it is ready as owner of its accounts, and as standby of all others."""
        async with aiohttp.ClientSession() as client:
            for name, one in sorted(self._replicas.items()):
                port = one.logged("bridge.started")[0]["management_port"]
                async with client.get(f"http://127.0.0.1:{port}/readyz") as answer:
                    phases = Counter(account["phase"] for account in (await answer.json())["accounts"].values())
                    say(f"{name} /readyz: {answer.status}, {dict(phases)}")
                    if answer.status != HTTPStatus.OK:
                        self.failed.append(f"{name} is not ready")

    async def _rebalance(self, which: str, traders: Traders) -> None:
        """Run `ltp-bridge rebalance` while all accounts trade, and print what it prints."""
        config = self._rig.write_config(accounts=self._accounts)
        begun_s = time.monotonic()
        say(f"--- ltp-bridge rebalance ({which})")
        async with traders.trading(_PAUSE_S):
            process = await start_module("bridge", "rebalance", "--config", str(config), stdout=PIPE)
            assert process.stdout is not None
            while line := await process.stdout.readline():
                say(f"    {line.decode().rstrip()}")
            code = await process.wait()
        waits = sorted(one.answered_s - one.sent_s for one in traders.sent.values() if one.sent_s >= begun_s)
        at_once = traders.moves_at_once(begun_s)
        say(
            f"--- took {time.monotonic() - begun_s:.1f} s; {at_once} account at most without a session at a time; "
            f"{len(waits)} places meanwhile, p50 {median(waits) * 1000:.0f} ms, slowest {waits[-1]:.2f} s"
        )
        self.found[f"rebalance {which}"] = {"at_once": at_once, "places": len(waits), "max_s": waits[-1]}
        if code or at_once > 1:
            self.failed.append(f"the {which} rebalance: exit code {code}, {at_once} accounts at a time")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make spread", description=__doc__)
    parser.add_argument("--accounts", type=int, default=30, help="how many accounts")
    return parser.parse_args()


async def main(options: argparse.Namespace) -> int:
    """Run; return the exit code."""
    logging.basicConfig(level=logging.ERROR)
    accounts = [f"account-{number:02}" for number in range(options.accounts)]
    venue_settings = VenueSettings(accounts=tuple(AccountSettings(name=name) for name in accounts))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with (
            start_broker(say) as broker,
            Venue(venue_settings) as venue,
            Rig(broker.bootstrap_servers, venue, folder) as rig,
        ):
            run = Spread(rig, accounts)
            try:
                await run.run()
            except (AssertionError, TimeoutError) as error:
                run.failed.append(f"{type(error).__name__}: {error}")
    for failure in run.failed:
        say(f"FAILED: {failure}")
    say(json.dumps({**run.found, "cores": os.cpu_count(), "load_1m": round(os.getloadavg()[0], 2)}))
    return 1 if run.failed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(_options())))
