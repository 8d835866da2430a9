"""Up to when pushes are durable on a session that lives."""

from math import inf

import pytest

from bridge.core.stream.live_until import live_until_ms
from tests.support.one_account import START


@pytest.mark.parametrize(
    ("last_frame_s", "logged_in_s", "pending_s", "expected"),
    [
        (-inf, -inf, None, 0),
        (-3.0, -60.0, None, START.wall_ms - 4000),
        (-60.0, -3.0, None, START.wall_ms - 3000),
        (-3.0, -60.0, -10.0, START.wall_ms - 11_000),
        (-3.0, -60.0, -1.0, START.wall_ms - 4000),
    ],
    ids=["never logged in", "the last frame", "the login", "an event waits", "a newer event waits"],
)
def test_pushes_are_durable_until(
    last_frame_s: float, logged_in_s: float, pending_s: float | None, expected: int
) -> None:
    """The last frame or the login, and what waits, bound it; a frame may be a second on its way."""
    found = live_until_ms(
        START,
        last_frame_boot_s=START.boot_s + last_frame_s,
        logged_in_boot_s=START.boot_s + logged_in_s,
        oldest_pending_boot_s=None if pending_s is None else START.boot_s + pending_s,
    )
    assert found == expected
