"""Points in time as an operator writes them."""

import pytest

from bridge.inspect.points import TIME_MS_MAX, format_point, parse_point_ms

NOW_MS = 1_795_164_156_042


@pytest.mark.parametrize(
    ("text", "expected_ms"),
    [
        ("all", 0),
        ("now", NOW_MS),
        ("250ms", NOW_MS - 250),
        ("1.5s", NOW_MS - 1500),
        ("10m", NOW_MS - 600_000),
        ("2h", NOW_MS - 7_200_000),
        ("1d", NOW_MS - 86_400_000),
        ("1w", NOW_MS - 604_800_000),
        ("999999999w", 0),
        ("2026-11-20T08:42:36.001Z", 1_795_164_156_001),
        ("2026-11-20T10:42:36+02:00", 1_795_164_156_000),
        ("1960-01-01T00:00:00Z", 0),
    ],
)
def test_a_point_is_read(text: str, expected_ms: int) -> None:
    """Durations count back from now; a time has a zone; what is before 1970 is the beginning."""
    assert expected_ms == parse_point_ms(text, NOW_MS)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it must be a point in time"),
        ("10", "it must be a point in time"),
        ("-5m", "it must be a point in time"),
        ("\u0661m", "it must be a point in time"),
        ("tomorrow", "it must be a point in time"),
        ("2026-11-20T08:42:36", "it must name its zone"),
        ("2027-01-01T00:00:00Z", "it lies in the future"),
    ],
)
def test_what_is_no_point_is_refused(text: str, said: str) -> None:
    """The error says what is wrong with it."""
    with pytest.raises(ValueError, match=said):
        parse_point_ms(text, NOW_MS)


@pytest.mark.parametrize("unix_ms", [-1, TIME_MS_MAX + 1, 2**63 - 1])
def test_a_time_that_nobody_meant_is_shown_as_a_number(unix_ms: int) -> None:
    """A producer may have given a record any timestamp."""
    assert f"{unix_ms} ms" == format_point(unix_ms)


def test_a_time_is_shown_as_it_may_be_given() -> None:
    """What is printed can be copied into --since."""
    assert NOW_MS == parse_point_ms(format_point(NOW_MS), NOW_MS)
    assert "9999-12-31T23:59:59.999Z" == format_point(TIME_MS_MAX)
