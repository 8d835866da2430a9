"""Floods an account with what costs a log line each: `python -m tests.support.flooding CASE COUNT`, JSON on stdout.

It is a process of its own, as the daemon is: what is logged in it is all that it prints.
"""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable
from typing import Final

from bridge.account_parts import clock
from bridge.admin import logs
from bridge.contract.session import Cause
from bridge.contract.topics import Stream
from bridge.core.records import Answer
from bridge.event_loop import run
from tests.support.one_account import place
from tests.support.outside import Outside
from tests.witness.waiting import until

HOSTILE: Final = '\x1b[2J\x1b]0;pwned\x07\x9b2J\u202e\u2066\r\n{"event":"forged"}\n\ud800\0\u2028'
LONG: Final = HOSTILE + "x" * 1_000_000
_TURN: Final = 500


async def _send_odd_frames(out: Outside, count: int) -> None:
    """Answer requests that nobody has made, every hundredth with a name of a megabyte."""
    for number in range(count):
        name = LONG if number % 100 == 0 else HOSTILE
        out.venue.session.receive(Answer(f"{name}{number}", HOSTILE, number, HOSTILE, None, None))
        if number % _TURN == 0:
            await asyncio.sleep(0)


async def _send_junk_commands(out: Outside, count: int) -> None:
    """Append commands that are denied, and what is no command at all."""
    for begin in range(0, count, _TURN):
        out.group.write(*(place(f"c{begin + number}", orderQty="junk") for number in range(_TURN)), b"\xff{", b"")
        await asyncio.sleep(0)
    # Some are put off and answered behind later ones.
    await until(lambda: sum(one.stream is Stream.RESULTS for one in out.topics.said()) >= count, 120)


async def _refuse_logins(out: Outside, count: int) -> None:
    """Refuse login after login."""
    for number in range(count):
        listener = out.venue.session.listener
        detail = f"{HOSTILE.encode('utf-8', 'replace').decode()} {number}"  # a frame's text is UTF-8
        listener.attempt_failed("AZ4", Cause.LOGIN_REFUSED, detail, clock())
        if number % _TURN == 0:
            await asyncio.sleep(0)


async def _lose_brokers(out: Outside, count: int) -> None:
    """Have the client of Kafka complain, as it does ten times a second while brokers are away."""
    client = logging.getLogger("aiokafka")
    for number in range(count):
        client.error("Unable connect to node with id %s: %s", number, HOSTILE)
        client.error(f"topic {number} is not available")
        client.info("at info")
        if number % _TURN == 0:
            await asyncio.sleep(0)


CASES: Final[dict[str, Callable[[Outside, int], Awaitable[None]]]] = {
    "odd_frames": _send_odd_frames,
    "junk_commands": _send_junk_commands,
    "refused_logins": _refuse_logins,
    "brokers_away": _lose_brokers,
}


async def _flood(case: str, count: int) -> None:
    out = Outside()
    async with out.running():
        await CASES[case](out, count)


if __name__ == "__main__":
    logs.configure("debug", "pretty" if "pretty" in sys.argv else "json")
    run(_flood(sys.argv[1], int(sys.argv[2])))
