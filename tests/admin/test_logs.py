"""Logs hold no secrets."""

import logging
from collections.abc import Iterator
from typing import Literal

import pytest
import structlog

from bridge.admin import logs


@pytest.fixture(autouse=True)
def _restore_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave the logging of the other tests as it was."""
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)  # it would take pytest's own sinks away
    levels = {name: logging.getLogger(name).level for name in logs.LIBRARIES_AT_WARNING}
    of_all_tests = structlog.get_config()
    yield
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    structlog.configure(**of_all_tests)


def _fail() -> None:
    secret = "canary-" + "of-a-secret"
    raise ValueError(str(len(secret)))


@pytest.mark.parametrize("style", ["json", "pretty"])
def test_a_traceback_shows_no_local_variables(
    style: Literal["json", "pretty"], capsys: pytest.CaptureFixture[str]
) -> None:
    """A crash is logged with its traceback, and without the values of local variables, which may be secrets."""
    writer = logs.configure("info", style)
    try:
        _fail()
    except ValueError:
        structlog.get_logger().exception("term.crashed")
    writer.drain()
    text = capsys.readouterr().out
    assert "term.crashed" in text
    assert "_fail" in text
    assert "canary-of-a-secret" not in text
