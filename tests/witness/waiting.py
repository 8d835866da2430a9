"""Waiting for what tells nobody that it has come true."""

import asyncio
import time
from collections.abc import Callable

DEADLINE_S = 60.0
_LOOK_S = 0.02


async def comes_true(holds: Callable[[], object], deadline_s: float) -> bool:
    """Wait until a condition holds; tell whether it does in time."""
    end = time.monotonic() + deadline_s
    while not holds():
        if time.monotonic() > end:
            return False
        await asyncio.sleep(_LOOK_S)
    return True


async def until(holds: Callable[[], object], deadline_s: float = DEADLINE_S, what: str = "the condition") -> None:
    """Wait until a condition holds. Raises AssertionError where it does not in time."""
    if not await comes_true(holds, deadline_s):
        raise AssertionError(f"{what} did not hold within {deadline_s:g} s")
