"""`pytest --canary` finds every planted leak, names its test, and shows no secret itself."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.canary.leaks import SECRET
from tests.canary.outputs import Outputs
from tests.canary.secrets import Secrets

ROOT = Path(__file__).parents[2]
LEAKS = "tests/canary/leaks.py"
_PLACES = {
    "test_leak_in_a_log_line": "stdout and stderr",
    "test_leak_in_a_captured_log_line": "log lines",
    "test_leak_in_a_library_line": "log lines",
    "test_leak_on_stdout": "stdout and stderr",
    "test_leak_of_the_command_line": "stdout and stderr",
    "test_leak_in_a_url": "stdout and stderr",
    "test_leak_of_a_signature": "stdout and stderr",
    "test_leak_of_a_tls_key": "stdout and stderr",
    "test_leak_of_a_process": "processes",
    "test_leak_of_a_process_of_the_loop[-1]": "processes",
    "test_leak_of_a_process_of_the_loop[-3]": "processes",
    "test_leak_on_a_page": "pages",
}


def _run(*arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--canary", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)  # noqa: S603
    return done.returncode, done.stdout


@pytest.mark.parametrize("workers", ["0", "2"])
def test_every_planted_leak_is_found(workers: str) -> None:
    """Each test of the file passes, and the run fails; with workers too."""
    code, told = _run(LEAKS, "-n", workers, "-k", "not topic")
    hits = set(re.findall(r"HIT: .* in (.*): .*::(.*)", told))
    assert {(where, test) for test, where in _PLACES.items()} <= hits, told
    assert {test for _, test in hits} == set(_PLACES)
    assert "failed" not in told
    assert code == 1
    assert SECRET not in told


def test_a_run_without_leaks_passes() -> None:
    """It prints what it has searched."""
    code, told = _run(LEAKS, "-n", "0", "-k", "clean_outputs")
    assert code == 0, told
    assert re.search(r"all +[1-9][0-9,]* bytes +0 hits", told)
    assert "1 of kind secret file" in told


def test_a_run_that_searches_nothing_fails() -> None:
    """Such as one whose outputs do not come to it."""
    code, told = _run(LEAKS, "-n", "0", "-k", "no_such_test")
    assert re.search(r"all +0 bytes", told)
    assert code != 0


def test_a_secret_in_two_parts_is_found() -> None:
    """A process writes when it likes, and the parts come one by one."""
    secrets, outputs = Secrets(), Outputs()
    secrets.add("x", "a-long-secret")
    outputs.add("processes", "a-long", 1)
    outputs.add("processes", "-more", 2)
    outputs.add("processes", "-secret", 1)
    assert [hit.where for hit in outputs.find(secrets.make_search())] == ["processes"]
    assert outputs.bytes["processes"] == 18


def test_what_is_too_short_is_counted() -> None:
    """A word such as `key` would be found everywhere."""
    secrets = Secrets()
    secrets.add("x", "key")
    assert secrets.too_short == {"key"}
    assert secrets.make_search().find(b"key") == set()
