"""Tasks side by side: the first error is raised as it is, and none of them is left behind."""

import asyncio
from collections.abc import Coroutine
from typing import Any


async def run_concurrently(*steps: Coroutine[Any, Any, Any]) -> list[Any]:
    """Take steps side by side; where one fails, the others are ended before its error is raised."""
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
    """Raise what a task ended with, if it has ended."""
    if task.done() and not task.cancelled():
        task.result()
