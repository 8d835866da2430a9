"""Quantities and prices as decimals: those of the venue may be no numbers, or too large to write out."""

from decimal import Decimal, InvalidOperation
from typing import Final

from bridge.contract.pushes import Amount

_CHARS_MAX: Final = 200
_MAGNITUDE_MAX: Final = 64
"""Powers of ten."""


def read_quantity(amount: Amount | None) -> Decimal | None:
    """Read a quantity or price exactly; None for what is none: to write such a number out could fill the memory."""
    text = str(amount)
    try:
        value = Decimal(text) if len(text) <= _CHARS_MAX else None
    except InvalidOperation:
        return None
    is_one = value is not None and value.is_finite() and abs(value.adjusted()) <= _MAGNITUDE_MAX
    return value if is_one else None


def same_number(one: str, other: str) -> bool:
    """Whether two decimal strings mean one number."""
    try:
        return Decimal(one) == Decimal(other)
    except InvalidOperation:
        return one == other


def is_part(executed: Decimal, quantity: str) -> bool:
    """Whether something was executed, and less than a quantity."""
    try:
        return 0 < executed < Decimal(quantity)
    except InvalidOperation:
        return False
