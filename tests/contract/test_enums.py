"""Enumerations of the contract have meanings, and some accept values of later versions."""

import msgspec
import pytest

from bridge.contract.results import Outcome, Reason, Result
from bridge.contract.session import Cause, GapOpened


def test_a_member_is_its_value_and_has_a_meaning() -> None:
    """In JSON a member is its value only."""
    assert Outcome("accepted") is Outcome.ACCEPTED
    assert msgspec.json.encode(Outcome.ACCEPTED) == b'"accepted"'
    assert Outcome.EXPIRED.__doc__ == "The validity of the command passed; the bridge did not send it."


def test_an_extensible_enumeration_accepts_unknown_values() -> None:
    """An unknown reason or cause is read, and written again unchanged."""
    text = b'{"commandId":"c","commandOffset":1,"outcome":"denied","answeredAt":1,"reason":"too_early"}'
    result = msgspec.json.decode(text, type=Result)
    assert result.reason == "too_early"
    assert result.reason not in list(Reason)
    assert msgspec.json.encode(result) == text
    gap = b'{"type":"gap.opened","at":1,"gapId":"1-1","fromMs":1,"cause":"solar_flare","detail":""}'
    assert msgspec.json.decode(gap, type=GapOpened).cause == Cause("solar_flare")


@pytest.mark.parametrize("value", [b'"perhaps"', b"5", b"null"])
def test_a_closed_enumeration_refuses_unknown_values(value: bytes) -> None:
    """The outcome decides about money, so an unknown one must not pass."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(value, type=Outcome)


def test_an_extensible_enumeration_refuses_numbers() -> None:
    """Only text is accepted."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b"5", type=Reason)
    with pytest.raises(ValueError, match="5"):
        Reason(5)  # type: ignore[arg-type] # the mistake that is tried
