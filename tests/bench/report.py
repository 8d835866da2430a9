"""What a run found, as a table and as JSON."""

from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct, to_builtins

from tests.bench.cases import Case
from tests.bench.figures import Spread, divide_figures
from tests.bench.stage import Measured
from tests.witness.console import say

_NAME_CHARS: Final = 58
_SPREAD_CHARS: Final = 36
_NOT_DRAWN: Final = ("p99.9", "memory MiB", "pushes durable", "venue cpu")
_EXACT_FROM: Final = 100
"""Numbers from here on are shown without decimals."""


class Round(Struct):
    """One round of a case: what was measured, and what beside it."""

    measured: Measured
    beside: Measured | None = None

    @property
    def ratios(self) -> dict[str, float]:
        """How often each figure holds the one beside it."""
        return divide_figures(self.measured.figures, self.beside.figures) if self.beside is not None else {}

    @property
    def problems(self) -> list[str]:
        """What was wrong on either side."""
        return [*self.measured.problems, *(self.beside.problems if self.beside is not None else ())]


def summarize(rounds: Sequence[dict[str, float]]) -> dict[str, Spread]:
    """Return the spread of each figure over the rounds that have it, in the order of the figures."""
    names = dict.fromkeys(name for one in rounds for name in one)
    return {name: Spread.of([one[name] for one in rounds if name in one]) for name in names}


class CaseReport(Struct):
    """A case and all of its rounds."""

    case: Case
    rounds: list[Round]

    def ratios(self) -> dict[str, Spread]:
        """Return the spread of each ratio."""
        return summarize([one.ratios for one in self.rounds])

    def _sides(self) -> list[tuple[str, list[Measured]]]:
        beside = [one.beside for one in self.rounds if one.beside is not None]
        sides = [(self.case.measured.name, [one.measured for one in self.rounds])]
        return sides + ([(self.case.beside.name, beside)] if self.case.beside is not None else [])

    def as_json(self) -> dict[str, Any]:
        """Return every round, and the spreads over all rounds."""
        rounds = [{**to_builtins(one), "ratios": one.ratios} for one in self.rounds]
        spreads = {name: summarize([one.figures for one in found]) for name, found in self._sides()}
        spreads["ratios"] = self.ratios()
        summary = {name: {key: one._asdict() for key, one in figures.items()} for name, figures in spreads.items()}
        return {"name": self.case.name, "summary": summary, "rounds": rounds}

    def print_table(self) -> None:
        """Print one line for each figure: median, lowest and highest of each side, and the ratio."""
        sides = [(name, summarize([one.figures for one in found])) for name, found in self._sides()]
        columns = [_name_side(name, found) for name, found in self._sides()] + ["ratio"] * (len(sides) > 1)
        say()
        say(f"{self.case.name:{_NAME_CHARS}}" + "".join(f"{name:>{_SPREAD_CHARS}}" for name in columns))
        ratios = self.ratios()
        for name in dict.fromkeys([*(name for _, figures in sides for name in figures), *ratios]):
            cells = [figures.get(name) for _, figures in sides]
            cells += [ratios.get(name)] if len(sides) > 1 else []
            say(f"  {name:{_NAME_CHARS - 2}}" + "".join(f"{_show(cell):>{_SPREAD_CHARS}}" for cell in cells))
        for one in dict.fromkeys(problem for found in self.rounds for problem in found.problems):
            say(f"  WRONG: {one}")


def _name_side(name: str, found: Sequence[Measured]) -> str:
    """Return the head of a side's column: its name, and the event loop that it ran on."""
    return f"{name} ({', '.join(sorted({one.loop for one in found} - {''}))})"


def list_bars(reports: Sequence[CaseReport]) -> list[tuple[str, Spread]]:
    """Return what the chart shows: the ratios of throughput, CPU and latency."""
    ratios = [(f"{one.case.name}: {name}", spread) for one in reports for name, spread in one.ratios().items()]
    return [(name, spread) for name, spread in ratios if not any(part in name for part in _NOT_DRAWN)]


def _show(spread: Spread | None) -> str:
    if spread is None:
        return "-"
    return f"{_number(spread.median)} ({_number(spread.lowest)} … {_number(spread.highest)})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= _EXACT_FROM else f"{value:,.2f}"


def print_legend() -> None:
    """Say what the figures mean."""
    say("median (lowest … highest) of the rounds; CPU is that of the measured process alone, user and system")
    say("ratio: of the two sides of a round, the first by the second; of throughput more is better, of all else less")
    say("written to read: from the venue's write of a push, by the stamp in it, to a consumer of its topic")
    say(
        "append: from the hand-over to a desk's producer; result: at a consumer of results; one clock for all processes"
    )
