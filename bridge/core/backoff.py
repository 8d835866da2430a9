"""The wait before the next attempt of something that failed."""


def full_jitter(attempt: int, roll: float, *, base_s: float, cap_s: float, floor_s: float) -> float:
    """Return the wait in seconds before an attempt: uniform below a doubling ceiling, and at least `floor_s`.

    `attempt` is the number of failures so far; `roll` is a random number in [0, 1).
    """
    ceiling = min(cap_s, base_s * 2.0 ** min(attempt, 32))
    return max(floor_s, roll * ceiling)
