"""`make records`: every record of a real run against the published contract, by tools that are not ours.

The demo's cast trades on a real broker, connections are cut, rare things happen, a second owner takes over. Then a
plain consumer reads all eleven topics, and each record is held against its JSON Schema, its headers, the CloudEvents
SDK and the rules of the README. The last line is one JSON object; exit code 1 says that a record is invalid or that a
topic is empty.
"""

import argparse
import asyncio
import json
import logging
import sys
import time
from typing import Any

from bridge.sandbox.broker.launcher import start_broker
from tests.records import commands, order
from tests.records.checker import Verdict, check
from tests.records.scene import Options, play
from tests.records.seen import seen
from tests.witness.console import say
from tests.witness.record import STREAMS

_BEGUN = time.monotonic()
_SHOWN_MAX = 10
_LONG_S = 60.0
"""A run of this length also waits until what nobody finds is `not_found`."""


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make records", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120, help="how long the desk trades")
    parser.add_argument("--cuts", type=int, default=3, help="how often the connections are cut meanwhile")
    parser.add_argument("--rate", type=float, default=10, help="commands per second")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same market and orders")
    return parser.parse_args()


def _tell(verdict: Verdict) -> dict[str, Any]:
    """Print what was found, and return it."""
    say(f"{'topic':14}{'records':>9}{'valid':>9}{'invalid':>9}{'CloudEvents':>13}")
    rows = {stream: verdict.row(stream) for stream in STREAMS}
    rows["total"] = {name: sum(row[name] for row in rows.values()) for name in rows["orders"]}
    for name, row in rows.items():
        parsed = "-" if name == "commands" else row["cloudevents"]
        say(f"{name:14}{row['records']:9}{row['valid']:9}{row['invalid']:9}{parsed:>13}")
    asked = commands.counts(verdict.records)
    say(
        f"commands: {asked}; {commands.in_doubt(verdict.records)} still in doubt; "
        f"{order.told_again(verdict.records)} records told again under the ce_id of the first"
    )
    shown = seen(verdict.records)
    for name, what in shown.items():
        say(f"seen {name}: {json.dumps(what)}")
    for wrong in verdict.wrongs[:_SHOWN_MAX]:
        say(f"INVALID {wrong}")
    for stream in verdict.empty:
        say(f"EMPTY {stream}")
    return {
        "topics": rows,
        "commands": asked,
        "in_doubt": commands.in_doubt(verdict.records),
        "empty": verdict.empty,
        "invalid": [str(wrong) for wrong in verdict.wrongs[:_SHOWN_MAX]],
        "seen": shown,
    }


async def main(options: argparse.Namespace) -> int:
    """Run, check, tell; return the exit code."""
    logging.basicConfig(level=logging.ERROR)
    asked = Options(options.seconds, options.cuts, options.rate, options.seed, options.seconds >= _LONG_S)
    async with start_broker(say) as broker:
        records = await play(broker.bootstrap_servers, asked, say)
    verdict = check(records)
    told = {**vars(options), **_tell(verdict), "took_s": round(time.monotonic() - _BEGUN)}
    say(json.dumps(told))
    return 1 if verdict.wrongs or verdict.empty else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(_options())))
