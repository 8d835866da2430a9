"""The chaos test in short: one run with a few faults, on the run's broker."""

from pathlib import Path

from tests.witness.harness import run_harness


async def test_nothing_is_missed_in_silence(bootstrap: str, tmp_path: Path) -> None:
    """The link fails, pushes fall silent and come muddled, the daemon dies: every trade is there, the rest is a gap."""
    options = ("--runs", "1", "--length", "short", "--seed", "1", "--keep", str(tmp_path))
    code, told = await run_harness("tests.chaos.run", *options, bootstrap=bootstrap)
    assert told["witnesses"] == []
    assert told["unbitten"] == []
    assert code == 0
