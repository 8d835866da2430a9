"""Enumerations of the contract: values with meanings, and some of them open to what is to come."""

import msgspec
import pytest

from bridge.contract.results import Outcome, Reason, Result
from bridge.contract.session import Cause, GapOpened


def test_a_word_is_its_value_and_has_a_meaning() -> None:
    """On the wire it is the value alone."""
    assert Outcome("accepted") is Outcome.ACCEPTED
    assert msgspec.json.encode(Outcome.ACCEPTED) == b'"accepted"'
    assert Outcome.EXPIRED.__doc__ == "Its validity passed; it was not sent."


def test_a_reader_of_today_survives_the_words_of_tomorrow() -> None:
    """A reason or a cause that is not known yet is read for what it is, and written again unchanged."""
    text = b'{"commandId":"c","commandOffset":1,"outcome":"denied","answeredAt":1,"reason":"too_early"}'
    result = msgspec.json.decode(text, type=Result)
    assert result.reason == "too_early"
    assert result.reason not in list(Reason)
    assert msgspec.json.encode(result) == text
    gap = b'{"type":"gap.opened","at":1,"gapId":"1-1","fromMs":1,"cause":"solar_flare","detail":""}'
    assert msgspec.json.decode(gap, type=GapOpened).cause == Cause("solar_flare")


@pytest.mark.parametrize("value", [b'"perhaps"', b"5", b"null"])
def test_a_closed_enumeration_takes_nothing_else(value: bytes) -> None:
    """What an outcome means decides about money: one that is not known must not pass."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(value, type=Outcome)


def test_an_open_enumeration_takes_text_alone() -> None:
    """A number is no word."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b"5", type=Reason)
    with pytest.raises(ValueError, match="5"):
        Reason(5)  # type: ignore[arg-type] # the mistake that is tried
