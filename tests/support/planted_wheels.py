"""A lock like the project's, whose packages are small wheels of a test's own, and newer releases of all of them."""

import hashlib
import zipfile
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

NEWER = "9999.0"


def pins(lock: Path) -> list[Requirement]:
    """Return what a lock pins on this machine."""
    lines = (line.rstrip(" \\") for line in lock.read_text(encoding="utf-8").splitlines())
    all_pins = [Requirement(line) for line in lines if line and not line.startswith((" ", "#"))]
    return [pin for pin in all_pins if pin.marker is None or pin.marker.evaluate()]


def asked_for_with_an_extra(names: set[str]) -> set[str]:
    """Return those of the installed packages that another one of them, or the project, requires with an extra."""
    found: set[str] = set()
    for name in (*names, "ltp-kafka-bridge"):
        required = [Requirement(line) for line in _installed(name).requires or ()]
        found |= {str(canonicalize_name(one.name)) for one in required if one.extras}
    return found & names


def write_wheel(folder: Path, name: str, version: str) -> Path:
    """Write an empty wheel that requires what the installed package of this name does."""
    stem = f"{name.replace('-', '_')}-{version}"
    metadata = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    told = _installed(name).metadata
    for field in ("Requires-Dist", "Provides-Extra"):
        metadata += [f"{field}: {line}" for line in told.get_all(field) or ()]
    files = {
        "METADATA": "\n".join(metadata) + "\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files["RECORD"] = "".join(f"{stem}.dist-info/{file},,\n" for file in (*files, "RECORD"))
    wheel = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for file, text in files.items():
            archive.writestr(f"{stem}.dist-info/{file}", text)
    return wheel


def plant(lock: Path, folder: Path) -> str:
    """Write both releases of every package of a lock into a folder; return a lock of the older ones."""
    lines = []
    for pin in pins(lock):
        name, version = str(canonicalize_name(pin.name)), str(pin.specifier).removeprefix("==")
        wheel = write_wheel(folder, name, version)
        write_wheel(folder, name, NEWER)
        lines.append(f"{name}=={version} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n")
    return "".join(lines)


def _installed(name: str) -> Distribution:
    try:
        return distribution(name)
    except PackageNotFoundError:
        message = f"{name} is locked and not installed: make setup"
        raise AssertionError(message) from None
