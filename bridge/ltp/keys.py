"""The key and the secret of an account. They are read again each time, so a rotated file is used without a restart."""

from pathlib import Path
from typing import Final

from bridge.config import AccountConfig
from bridge.config.files import UnusableFile
from bridge.errors import VenueUnreachable

_last_usable: Final[dict[tuple[Path, Path], tuple[str, str]]] = {}
"""Key and secret by the paths of their files. A rotation that fails must not end a healthy session."""


def read_keys(account: AccountConfig) -> tuple[str, str]:
    """Return key and secret from their files, or the last usable ones while a file cannot be used.

    Raises VenueUnreachable when there were never usable ones.
    """
    files = account.api_key_file, account.api_secret_file
    try:
        keys = account.api_key.get_secret_value(), account.api_secret.get_secret_value()
    except UnusableFile:
        if files in _last_usable:
            return _last_usable[files]
        raise VenueUnreachable(describe_key_problem(account) or "the key's files have just become usable") from None
    _last_usable[files] = keys
    return keys


def describe_key_problem(account: AccountConfig) -> str | None:
    """Return which file of the account cannot be used and why; None when both can."""
    for name in ("api_key", "api_secret"):
        try:
            getattr(account, name)
        except UnusableFile as error:
            return f"{name}_file: {error}"
    return None
