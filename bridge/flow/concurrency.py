"""Tasks that run side by side: the first error of one is raised, and all of them have ended then."""

import asyncio
from collections.abc import Coroutine
from typing import Any


async def run_concurrently(*steps: Coroutine[Any, Any, Any]) -> list[Any]:
    """Run steps side by side and return their results; where one fails, end the others and raise its error."""
    tasks = [asyncio.create_task(step) for step in steps]
    try:
        return await asyncio.gather(*tasks)
    finally:
        await end_tasks(*tasks)


async def end_tasks(*tasks: asyncio.Future[Any]) -> None:
    """Cancel tasks and wait for their end, whatever it is."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def raise_failure(task: asyncio.Future[Any]) -> None:
    """Raise the error of a task that has ended with one."""
    if task.done() and not task.cancelled():
        task.result()
