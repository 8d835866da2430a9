"""A chart of the ratios as SVG: one bar for each, its spread as a line, and the floor at 1."""

from collections.abc import Sequence
from typing import Final
from xml.sax.saxutils import escape

from tests.bench.figures import Spread

_ROW: Final = 22
_LEFT: Final = 520
_WIDTH: Final = 420
_TOP: Final = 46
_TEXT: Final = 'font-family="sans-serif" font-size="12" fill="#222"'


def draw_ratios(rows: Sequence[tuple[str, Spread]], title: str) -> str:
    """Return the chart of some named ratios."""
    most = max([1.0, *(spread.highest for _, spread in rows)]) * 1.05
    height = _TOP + _ROW * len(rows) + 30

    def x(ratio: float) -> float:
        return round(_LEFT + _WIDTH * max(ratio, 0.0) / most, 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _WIDTH + 90}" height="{height}">',
        '<rect width="100%" height="100%" fill="#fff"/>',
        f'<text x="12" y="24" {_TEXT} font-weight="bold">{escape(title)}</text>',
    ]
    for number, (name, spread) in enumerate(rows):
        top = _TOP + _ROW * number
        middle = top + _ROW / 2 - 2
        bar = f'<rect x="{_LEFT}" y="{top}" width="{x(spread.median) - _LEFT:.1f}" height="{_ROW - 6}" fill="#4878a8"/>'
        line = f'<path d="M{x(spread.lowest)} {middle}H{x(spread.highest)}" stroke="#222" stroke-width="2"/>'
        label = f'<text x="{_LEFT - 8}" y="{top + 13}" text-anchor="end" {_TEXT}>{escape(name)}</text>'
        value = f'<text x="{x(spread.highest) + 8}" y="{top + 13}" {_TEXT}>{spread.median:.2f}</text>'
        parts += [bar, line, label, value]
    bottom = _TOP + _ROW * len(rows)
    parts += [
        f'<path d="M{x(1)} {_TOP - 8}V{bottom}" stroke="#b03030" stroke-dasharray="4 3"/>',
        f'<text x="{x(1)}" y="{bottom + 16}" text-anchor="middle" {_TEXT}>1</text>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"
