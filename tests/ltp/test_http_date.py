"""Times in HTTP headers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.ltp.connection import parse_retry_after
from bridge.ltp.http_date import parse_http_date


def test_the_form_of_the_standard() -> None:
    """The example of RFC 9110 and the earliest and latest times are read."""
    assert parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT") == 784_111_777
    assert parse_http_date("Mon, 01 Jan 0001 00:00:00 GMT") == -62_135_596_800
    assert parse_http_date("Fri, 31 Dec 9999 23:59:59 GMT") == 253_402_300_799


@pytest.mark.parametrize(
    "text", ["Sun, 06 Nov 1994 08:49:37 -99999999999999", "Sunday, 06-Nov-94 08:49:37 GMT", "784111777", "", "\0"]
)
def test_what_else_is_no_time(text: str) -> None:
    """Any other text gives None."""
    assert parse_http_date(text) is None


@given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{1,40} [0-9:]{0,20} [-+A-Z0-9]{0,40}"))
def test_no_text_raises(text: str) -> None:
    """No text raises, as the time of an answer or as a Retry-After."""
    parse_http_date(text)
    parse_retry_after(text, 0.0)
