"""The set-up installs exactly the locked versions, also after newer releases."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from packaging.utils import canonicalize_name

from tests.support.planted_wheels import NEWER, asked_for_with_an_extra, pins, plant, write_wheel

ROOT = Path(__file__).parents[1]
DEV_LOCK = ROOT / "requirements-dev.txt"
SKIPPED = {".git", ".venv", "node_modules", "target", "build", "dist", "htmlcov", ".hypothesis"}
WRITTEN_BY_HAND = ("Makefile", "Dockerfile", "*.sh", "*.md", "*.yaml", "*.yml", "*.toml", "*.py")

# An in-tree build backend, so that the project itself is installed without any package of the index.
PROJECT = """[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""
BACKEND = """import pathlib, shutil
def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    (wheel,) = pathlib.Path("own").glob("*.whl")
    shutil.copy(wheel, wheel_directory)
    return wheel.name
"""


def _files() -> list[Path]:
    found = {path for pattern in WRITTEN_BY_HAND for path in ROOT.rglob(pattern)}
    skipped = {path for path in found if SKIPPED & set(path.relative_to(ROOT).parts) or not path.is_file()}
    return sorted(found - skipped - {Path(__file__)})


def _pip_calls(path: Path) -> list[str]:
    """Return the pip commands in a file, each as one line."""
    text = re.sub(r"\\\n\s*", " ", path.read_text(encoding="utf-8"))
    return re.findall(r"\bpip3?\b[^\n&|;`]*\binstall\b[^\n&|;`]*", text)


def _installs_a_lock(call: str) -> bool:
    return bool(re.search(r"\s(-r|--requirement)\b|requirements[\w-]*\.txt", call))


def test_every_lock_is_installed_without_a_resolver() -> None:
    """The call compares every hash, and uses no resolver, which could fail over newer releases."""
    calls = [(path, call) for path in _files() for call in _pip_calls(path) if _installs_a_lock(call)]
    assert {path.name for path, _ in calls} >= {"Makefile", "Dockerfile"}
    loose = [call for call in calls if "--no-deps" not in call[1] or "--require-hashes" not in call[1]]
    assert loose == []


def test_makefile_and_dockerfile_install_locks_and_check_that_they_are_complete() -> None:
    """Without a resolver only `pip check` finds a package that is missing from a lock."""
    for name, locks in (("Makefile", 2), ("Dockerfile", 2)):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert len([call for call in _pip_calls(ROOT / name) if _installs_a_lock(call)]) == locks
        assert re.search(r"\bpip\b[^\n]* check\b", text), name


def test_make_setup_ignores_newer_releases(tmp_path: Path) -> None:
    """With a newer release of every locked package on the index, the set-up installs the locked one."""
    names = {str(canonicalize_name(pin.name)) for pin in pins(DEV_LOCK)}
    assert {"aiokafka", "coverage"} <= asked_for_with_an_extra(names)
    index, clone, home = (tmp_path / folder for folder in ("index", "clone", "home"))
    for folder in (index, clone / "own", home):
        folder.mkdir(parents=True)
    shutil.copy(ROOT / "Makefile", clone)
    (clone / "requirements-dev.txt").write_text(plant(DEV_LOCK, index), encoding="utf-8")
    (clone / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
    (clone / "backend.py").write_text(BACKEND, encoding="utf-8")
    write_wheel(clone / "own", "ltp-kafka-bridge", "1.0")
    own = {"HOME": str(home), "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(index), "PIP_CONFIG_FILE": os.devnull}
    inherited = {name: text for name, text in os.environ.items() if not name.startswith(("PIP_", "MAKE", "MFLAGS"))}
    done = subprocess.run(  # noqa: S603 - the set-up itself
        ["make", "setup", f"PYTHON={sys.executable}"],  # noqa: S607
        cwd=clone,
        env=inherited | own,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No broken requirements found" in done.stdout
    (packages,) = (clone / ".venv").glob("lib/python*/site-packages")
    installed = {path.name.removesuffix(".dist-info") for path in packages.glob("*.dist-info")}
    locked = {(str(canonicalize_name(pin.name)), str(pin.specifier).removeprefix("==")) for pin in pins(DEV_LOCK)}
    assert {f"{name.replace('-', '_')}-{version}" for name, version in locked} <= installed
    assert not [name for name in installed if name.endswith(NEWER)]
