"""No snippet that people copy has a commandId of its own: sent a second time it would do nothing."""

import json
import re
import subprocess
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_COPIED = sorted(
    path
    for pattern in ("*.md", "*.yaml", "examples/**/*", "helm/**/*", "bridge/client/*.py", "bridge/sandbox/**/*.py")
    for path in _ROOT.glob(pattern)
    if path.suffix in {".md", ".yaml", ".txt", ".tpl", ".py", ".java", ".go", ".json"} and path.name != "CHANGELOG.md"
)
_FIXED = re.compile(r"""(?:["']commandId\\?["']\s*[:,]|command_id\s*=)\s*\\?["']([^"'\s\\]+)\\?["']""")
_FRESH = re.compile(r"'?\$\(uuidgen\)'?")


@pytest.mark.parametrize("path", _COPIED, ids=lambda path: str(path.relative_to(_ROOT)))
def test_no_commandid_is_written_out(path: Path) -> None:
    """What stands there is made anew each time, or is no commandId that the bridge would take."""
    found = _FIXED.findall(path.read_text(encoding="utf-8"))
    assert [one for one in found if not _FRESH.search(one)] == []


def test_a_fixed_commandid_would_be_found() -> None:
    """In each of the languages that the examples have."""
    for line in (
        """$ echo '{"commandId":"c-1","action":"cancel_orders"}'""",
        """Map.of("commandId", "c-1", "action", action)""",
        """command = {"commandId": "c-1"}""",
        """place_order(command_id="c-1")""",
        r'''payload := "{\"commandId\":\"c-1\"}"''',
    ):
        assert _FIXED.findall(line) == ["c-1"], line


def test_the_panic_line_makes_a_command_anew_each_time(tmp_path: Path) -> None:
    """The README's line, as a shell runs it, without what sends it."""
    told = (_ROOT / "README.md").read_text(encoding="utf-8")
    line = re.search(r"^\$ (echo '.*cancel_orders.*) \|$", told, re.MULTILINE)
    assert line is not None
    uuidgen = tmp_path / "uuidgen"
    uuidgen.write_text("#!/bin/sh\ncat /proc/sys/kernel/random/uuid\n")
    uuidgen.chmod(0o755)
    shell = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    written = [subprocess.run(["sh", "-c", line[1]], capture_output=True, check=True, env=shell) for _ in range(2)]  # noqa: S603, S607
    first, second = (json.loads(one.stdout) for one in written)
    assert first["action"] == "cancel_orders"
    assert len({first["commandId"], second["commandId"]}) == 2
