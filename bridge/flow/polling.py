"""Polls while a step takes long: the group puts out a member that does not poll."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from bridge.flow.concurrency import end_tasks
from bridge.flow.ports import Membership

POLL_S = 0.5

_Result = TypeVar("_Result")


async def while_polling(
    membership: Membership, step: Coroutine[Any, Any, _Result], after_poll: Callable[[], None] = lambda: None
) -> _Result:
    """Take a step and return its result; poll meanwhile, for no records, and call `after_poll` after each poll.

    Raises what the step raises, and TermEnded as soon as the partition is lost.
    """
    taking = asyncio.create_task(step)
    polling = asyncio.create_task(_keep_polling(membership, after_poll))
    try:
        await asyncio.wait([taking, polling], return_when=asyncio.FIRST_COMPLETED)
        if polling.done():
            polling.result()
        return await taking
    finally:
        await end_tasks(taking, polling)


async def _keep_polling(membership: Membership, after_poll: Callable[[], None]) -> None:
    while True:
        await membership.poll(POLL_S)
        after_poll()
