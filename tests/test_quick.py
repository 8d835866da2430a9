"""`make quick` starts no broker: a test of it that asks for one fails, with the reason."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHARED = "tests/kafka/test_broker_clock.py"
OWN = "tests/sandbox/broker/test_broker.py::test_killed_broker_comes_back_with_its_records"
REASON = "this test needs a Kafka broker, and --no-broker (make quick) starts none"


def test_a_test_that_needs_a_broker_fails_where_none_may_be_started() -> None:
    """Whether it shares the run's broker or has one of its own."""
    run = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "pytest", "-n", "0", "-p", "no:cacheprovider", "--no-broker", SHARED, OWN],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert pytest.ExitCode.TESTS_FAILED == run.returncode, run.stdout
    errors = [line for line in run.stdout.splitlines() if line.startswith("ERROR ")]
    assert {SHARED, OWN.partition("::")[0]} == {line.split()[1].partition("::")[0] for line in errors}
    # Only the report of each error: pytest's summary repeats the reason where CI is set.
    assert run.stdout.splitlines().count(REASON) == len(errors)
