"""Up to when everything that the venue pushed is durable, while its session lives."""

from typing import Final

from bridge.core.now import Now

ON_THE_WAY_S: Final = 1.0
"""Longer than a frame takes from the venue on a link that is alive."""


def live_until_ms(
    now: Now, *, last_frame_boot_s: float, logged_in_boot_s: float, oldest_pending_boot_s: float | None
) -> int:
    """Return up to when, Unix ms and not later than now, every push is durable; 0 before the first login.

    Frames arrive in order: every push that the venue made `ON_THE_WAY_S` before the last frame arrived was received.
    `oldest_pending_boot_s` is when the oldest event was received that is not durable, None without one.
    """
    until_boot_s = max(last_frame_boot_s - ON_THE_WAY_S, logged_in_boot_s)
    if oldest_pending_boot_s is not None:
        until_boot_s = min(until_boot_s, oldest_pending_boot_s - ON_THE_WAY_S)
    return now.unix_ms(until_boot_s)
