"""The sandbox venue as a process of its own: faults come in on stdin, as JSON lines, and the ledger goes to a file."""

import asyncio
import json
import sys
from pathlib import Path

import msgspec

from bridge.sandbox.venue.faults import Fault
from bridge.sandbox.venue.settings import VenueSettings
from bridge.sandbox.venue.venue import Venue


async def run(ledger: Path, seed: int) -> None:
    """Run a venue until stdin ends; a fault is in the script once its line is answered."""
    async with Venue(VenueSettings(seed=seed, step_period_s=0.25)) as venue:
        key = venue.keys["main"]
        facts: dict[str, object] = {
            "ws": venue.ws_url,
            "rest": venue.rest_url,
            "key": key.api_key,
            "secret": key.api_secret,
        }
        with ledger.open("w", encoding="utf-8") as out:
            venue.ledger.follow(out)
            _tell(facts)
            reader = asyncio.StreamReader()
            loop = asyncio.get_running_loop()
            await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
            async for line in reader:
                _tell({"number": venue.faults.add(msgspec.json.decode(line, type=Fault)).number})


def _tell(facts: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1]), int(sys.argv[2])))
