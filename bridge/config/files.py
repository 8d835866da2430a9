"""Read the files that settings name. Errors say what is wrong with a file and never show its content."""

import codecs
import os
import stat
from pathlib import Path
from typing import Final

SECRET_BYTES_MAX: Final = 4096
"""Far above the length of any key, secret or password."""
BYTE_ORDER_MARKS: Final = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_WHITE_SPACE: Final = b" \t\r\n"
_PRINTABLE: Final = range(0x21, 0x7F)


class UnusableFile(ValueError):
    """A file cannot be used; the text says why and what to do, without path and content."""


def read_file(path: Path, bytes_max: int) -> bytes:
    """Return the content of a regular file. Raises UnusableFile; never waits for a pipe or a device."""
    try:
        content = _read_regular(path, bytes_max + 1)
    except FileNotFoundError:
        raise UnusableFile("the file that it names does not exist; mount it there or correct the path") from None
    except (OSError, ValueError) as error:
        raise UnusableFile(
            f"the file that it names cannot be read ({type(error).__name__}); check the path, its mode and its owner"
        ) from None
    if content is None:
        raise UnusableFile("the file that it names is no regular file but a folder, a pipe or a device")
    if len(content) > bytes_max:
        raise UnusableFile(f"the file that it names holds more than {bytes_max} bytes; name the right file")
    return content


def _read_regular(path: Path, size: int) -> bytes | None:
    """Return the first bytes of a regular file, or None for any other kind, which might never end."""
    if not stat.S_ISREG(path.stat().st_mode):
        return None
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as opened:  # noqa: PTH123 - so as not to block
        return opened.read(size)


def read_secret(path: Path) -> str:
    """Return the secret that a file holds, without the white space around it. Raises UnusableFile."""
    content = read_file(path, SECRET_BYTES_MAX)
    if content.startswith(BYTE_ORDER_MARKS):
        raise UnusableFile("the file that it names begins with a byte order mark; save it as plain ASCII without one")
    if b"\0" in content:
        raise UnusableFile("the file that it names holds a NUL byte; write the secret into it as plain ASCII text")
    content = content.strip(_WHITE_SPACE)
    if len(content.split()) != 1:
        raise UnusableFile("the file that it names must hold the secret alone, on one line")
    if any(byte not in _PRINTABLE for byte in content):
        raise UnusableFile("the file that it names holds more than printable ASCII; write the secret into it again")
    return content.decode("ascii")


def is_readable_by_others(path: Path) -> bool:
    """Return whether any user of the machine may read a file."""
    try:
        return bool(path.stat().st_mode & stat.S_IROTH)
    except (OSError, ValueError):
        return False
