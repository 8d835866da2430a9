"""How long to wait before a try is repeated: twice as long each time, up to a bound."""


class RetryWait:
    """Waits that double from the first one to the last one, until `reset`."""

    def __init__(self, first_s: float, last_s: float) -> None:
        self._first_s = first_s
        self._last_s = last_s
        self._next_s = first_s

    def next_s(self) -> float:
        """Return how long to wait now; the wait after it is longer."""
        wait_s, self._next_s = self._next_s, min(self._next_s * 2, self._last_s)
        return wait_s

    def reset(self) -> None:
        """Begin with the first wait again, because a try was of use."""
        self._next_s = self._first_s
