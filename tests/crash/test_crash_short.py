"""The crash test in short: a sample of its matrix, on the run's broker."""

from pathlib import Path

from tests.witness.harness import run_harness

_SCENARIOS = 16


async def test_a_daemon_may_die_at_any_step(bootstrap: str, tmp_path: Path) -> None:
    """SIGKILL over and over, at every kind of step: nothing is sent twice, every command gets one true answer."""
    options = ("--scenarios", str(_SCENARIOS), "--seed", "1", "--keep", str(tmp_path))
    code, told = await run_harness("tests.crash.run", *options, bootstrap=bootstrap)
    assert (told["unreached"], told["surprises"], told["witnesses"]) == ([], [], [])
    assert told["kills"] >= _SCENARIOS
    assert code == 0
