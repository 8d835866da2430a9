"""Percentiles, medians over rounds, and ratios."""

from collections.abc import Sequence
from statistics import median
from typing import Final, NamedTuple

PERCENTILES: Final = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
RESULT: Final = "append to result"
ROUND_TRIP: Final = "venue's round trip"
_NS_PER_MS: Final = 1e6


class Spread(NamedTuple):
    """A figure over all rounds."""

    median: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Return the spread of some values, of which there must be one at least."""
        return cls(median(values), min(values), max(values))


def name_percentiles(name: str, taken_ns: Sequence[int]) -> dict[str, float]:
    """Return the percentiles of durations in ms, by names such as `result p99 ms`; none without durations."""
    ordered = sorted(taken_ns)
    last = len(ordered) - 1
    return {
        f"{name} {label} ms": ordered[min(last, int(len(ordered) * share))] / _NS_PER_MS
        for label, share in PERCENTILES.items()
        if ordered
    }


def divide_figures(measured: dict[str, float], beside: dict[str, float]) -> dict[str, float]:
    """Return how often each figure holds the one beside it, of those that both have.

    A relay does not ask the venue. Where its round trip was measured, the commands are compared without it as well.
    """
    ratios = {name: value / beside[name] for name, value in measured.items() if beside.get(name)}
    for label in PERCENTILES:
        trip_ms, name = beside.get(f"{ROUND_TRIP} {label} ms"), f"{RESULT} {label} ms"
        if trip_ms is not None and name in ratios:
            ratios[f"{name}, less {ROUND_TRIP}"] = (measured[name] - trip_ms) / beside[name]
    return ratios
