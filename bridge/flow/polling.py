"""Polling while something else takes long: the group puts out a member that does not poll."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from bridge.flow.concurrency import end_tasks
from bridge.flow.ports import Membership

POLL_S = 0.5

_Result = TypeVar("_Result")


async def while_polling(
    membership: Membership, step: Coroutine[Any, Any, _Result], look: Callable[[], None] = lambda: None
) -> _Result:
    """Take a step, polling for nothing, and look at something now and then.

    Raises what the step raises, and TermEnded as soon as the partition is lost.
    """
    taking = asyncio.create_task(step)
    polling = asyncio.create_task(_keep_polling(membership, look))
    try:
        await asyncio.wait([taking, polling], return_when=asyncio.FIRST_COMPLETED)
        if polling.done():
            polling.result()
        return await taking
    finally:
        await end_tasks(taking, polling)


async def _keep_polling(membership: Membership, look: Callable[[], None]) -> None:
    while True:
        await membership.poll(POLL_S)
        look()
