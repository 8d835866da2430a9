"""`make day`: a day of trading in virtual time, what it takes in memory, and what it asks of the venue's REST.

The sweeps of one term, on a venue that is made of lists in pages. Prints a line for every hour, and as the last line
one JSON object. Exit code 1 says that the memory was not within the figure that the README states, that audits asked
for more in the last hour than in the second, or that a gap was opened on the healthy link.
"""

import argparse
import asyncio
import json
import logging
import sys

import structlog
from msgspec import to_builtins

from tests.day.figures import ACCOUNT_MIB
from tests.support.one_day import Hour, OneDay, resident_mib
from tests.support.virtual_time import VirtualTime, run_in_virtual_time
from tests.witness.console import say

HEAD = "hour   fills   MiB above the start   REST requests a minute: mean, most   longest turn (CPU)"


async def live(day: OneDay, hours: int, before_mib: float) -> list[Hour]:
    """Live through the day, and tell of it hour by hour."""
    told = []
    async for hour in day.run(hours):
        told.append(hour)
        say(
            f"{hour.hour:4} {hour.fills:7} {hour.resident_mib - before_mib:21.0f} {hour.asked_per_minute:32.1f} "
            f"{hour.asked_most:5} {1000 * hour.longest_turn_s:18.0f} ms"
        )
    return told


def main() -> int:
    """Run what the arguments say."""
    parser = argparse.ArgumentParser(prog="make day")
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--open", type=int, default=5000, help="open orders at every moment")
    parser.add_argument("--fills", type=int, default=100_000, help="fills in 24 hours")
    args = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    before_mib = resident_mib()
    loop = VirtualTime()
    asyncio.set_event_loop(loop)
    day = OneDay(loop, open_orders=args.open, fills_per_hour=args.fills // 24)
    say(HEAD)
    hours = run_in_virtual_time(live(day, args.hours, before_mib), loop)
    used_mib = max(hour.resident_mib for hour in hours) - before_mib
    opened = [event for event in day.topics.session_events if event["type"] == "gap.opened"]
    first, last = hours[min(1, len(hours) - 1)], hours[-1]
    is_flat = last.asked_per_minute <= first.asked_per_minute * 1.05
    right = used_mib <= ACCOUNT_MIB and is_flat and len(opened) == 1 and not day.session.dropped
    say(f"published: {', '.join(f'{count} {stream.value}' for stream, count in sorted(day.topics.count.items()))}")
    say(f"{used_mib:.0f} MiB above the start, {ACCOUNT_MIB} are stated for an account: {'right' if right else 'WRONG'}")
    say(json.dumps({"right": right, "usedMiB": round(used_mib), "hours": to_builtins(hours)}))
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
