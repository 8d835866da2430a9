"""Decimal numbers in the venue's text form; never binary floating point."""

import re
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, ROUND_UP, Context, Decimal

ZERO = Decimal(0)

# Eighteen places, as in the documented samples: the default context's 28 digits keep sums of money exact up to 10^10.
_QUANTUM = Decimal("1e-18")
_WIDE = Context(prec=60)
_PLAIN = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,18})?", re.ASCII)


def parse_decimal(text: str) -> Decimal | None:
    """Return the value of a plain unsigned decimal; None for any other text (sign, exponent, NaN, spaces)."""
    return Decimal(text) if _PLAIN.fullmatch(text) else None


def format_decimal(value: Decimal) -> str:
    """Return the number as text, without exponent and trailing zeros."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def format_18_places(value: Decimal) -> str:
    """Return the number as the account endpoint writes it: "10000.000000000000000000" (LTP docs, Get Started)."""
    return format(rounded(value), ".18f")


def rounded(value: Decimal) -> Decimal:
    """Round half to even at eighteen places."""
    return value.quantize(_QUANTUM, ROUND_HALF_EVEN, _WIDE)


def rounded_up(value: Decimal) -> Decimal:
    """Round away from zero at eighteen places: what is reserved is never too little."""
    return value.quantize(_QUANTUM, ROUND_UP, _WIDE)


def exact_product(value: Decimal, share: Decimal) -> Decimal:
    """Multiply without rounding: a share of an amount has as many places as both together."""
    return _WIDE.multiply(value, share)


def floor_to(value: Decimal, step: Decimal) -> Decimal:
    """Return the largest multiple of `step` that is not above `value`."""
    return (value / step).to_integral_value(ROUND_FLOOR) * step


def is_multiple(value: Decimal, step: Decimal) -> bool:
    """Tell whether `value` is a whole number of steps."""
    return value % step == 0


def count_places(value: Decimal) -> int:
    """Return the number of decimal places without trailing zeros."""
    exponent = value.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
