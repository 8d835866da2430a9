"""Replicas of the bridge on a rig, for the length of a block."""

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

from tests.support.rig import Rig
from tests.witness.replica import Replica

_LINES_SHOWN = 60


@contextlib.asynccontextmanager
async def replica(rig: Rig, **changes: Any) -> AsyncIterator[Replica]:  # noqa: ANN401 - sections of the settings
    """Run one more replica; it is killed at the end of the block if it still runs."""
    async with rig.daemon_process(**changes) as process:
        running = Replica(process)
        try:
            yield running
        except AssertionError:
            for line in running.lines[-_LINES_SHOWN:]:
                print(json.dumps(line))  # noqa: T201 - what it logged tells why
            raise
        finally:
            await running.close()


@contextlib.asynccontextmanager
async def owner_and_standby(
    rig: Rig,
    *,
    owner_kafka: dict[str, Any] | None = None,
    **changes: Any,  # noqa: ANN401 - as above
) -> AsyncIterator[tuple[Replica, Replica]]:
    """Run two replicas: the first owns the account and trades, the second waits in the group.

    `owner_kafka` is the first one's way to the broker, where that is another.
    """
    of_owner = {"kafka": owner_kafka} if owner_kafka is not None else {}
    async with replica(rig, **changes, **of_owner) as owner:
        await owner.until("recovery.complete")
        async with replica(rig, **changes) as standby:
            await standby.until("account.standby")
            yield owner, standby
