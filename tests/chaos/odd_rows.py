"""REST rows as some venue might tell them: other spellings and types, fields missing. A change is done to a page."""

import random
from collections.abc import Callable
from typing import Any, Final

Row = dict[str, Any]
Change = Callable[[list[Row]], list[Row]]

HOUR_MS: Final = 3_600_000
_SPELLINGS: Final = {
    "orderState": {"CANCELLED": "CANCELED", "REJECT": "REJECTED", "FILLED": "Filled", "OPEN": "open"},
    "side": {"BUY": "Buy", "SELL": "Sell"},
}
_ODD_SHARE: Final = 0.1
"""Of the rows of a page."""


def spell_otherwise(rows: list[Row]) -> list[Row]:
    """Return the rows with synonyms, and cases of letters that the pushes do not use."""
    return [
        {**row, **{name: words.get(row[name], row[name]) for name, words in _SPELLINGS.items() if name in row}}
        for row in rows
    ]


def tell_none(_: list[Row]) -> list[Row]:
    """Return an empty page."""
    return []


class OddRows:
    """Makes some rows of a page odd, each in one way."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._ways: tuple[tuple[str, Callable[[Any], Any]], ...] = (
            ("clientOrderId", lambda _: 17),
            ("updateAt", lambda said: float(said) + 0.5),
            ("orderState", lambda _: None),
            ("orderId", lambda _: ""),
            ("tradingFee", float),
            ("balance", lambda _: None),
            ("positionQty", float),
        )

    def __call__(self, rows: list[Row]) -> list[Row]:
        """Return the page with its odd rows."""
        return [self._make_odd(row) if self._dice.random() < _ODD_SHARE else row for row in rows]

    def _make_odd(self, row: Row) -> Row:
        # An execution without its order would be another execution.
        possible = [
            (name, change)
            for name, change in self._ways
            if row.get(name) and not (name == "orderId" and "transactionId" in row)
        ]
        if not possible:
            return row
        name, change = self._dice.choice(possible)
        return {**row, name: change(row[name])}


class Redated:
    """Dates the rows of a page a little back, and one in ten an hour ahead."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice

    def __call__(self, rows: list[Row]) -> list[Row]:
        """Return the page with other dates."""
        return [self._redate(row) for row in rows]

    def _redate(self, row: Row) -> Row:
        if not str(row.get("updateAt", "")).isdigit():
            return row
        shift_ms = HOUR_MS if self._dice.random() < _ODD_SHARE else -self._dice.choice((2, 50))
        return {**row, "updateAt": type(row["updateAt"])(int(row["updateAt"]) + shift_ms)}
