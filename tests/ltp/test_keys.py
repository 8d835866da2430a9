"""The key's files: they are read each time, and the last usable key is used while they are unusable."""

from pathlib import Path

import pytest

from bridge.config import AccountConfig
from bridge.errors import VenueUnreachable
from bridge.ltp.keys import describe_key_problem, read_keys


@pytest.fixture
def account(tmp_path: Path) -> AccountConfig:
    """Return an account whose key and secret are in files."""
    (tmp_path / "key").write_text("ak-1")
    (tmp_path / "secret").write_text("sk-1")
    return AccountConfig(api_key_file=tmp_path / "key", api_secret_file=tmp_path / "secret")


def test_a_rotated_key_is_used_at_once(account: AccountConfig) -> None:
    """No restart is needed."""
    assert read_keys(account) == ("ak-1", "sk-1")
    account.api_key_file.write_text("ak-2\n")
    assert read_keys(account) == ("ak-2", "sk-1")
    assert describe_key_problem(account) is None


@pytest.mark.parametrize("content", [b"ak-new\nak-old\n", b"ak-new\rx", b"", b"\xef\xbb\xbfak-new", b"ak\0", None])
def test_a_rotation_that_goes_wrong_keeps_the_old_key(account: AccountConfig, content: bytes | None) -> None:
    """The old key stays in use, the problem is described, and a repaired file is used at once."""
    assert read_keys(account) == ("ak-1", "sk-1")
    account.api_key_file.unlink()
    if content is not None:
        account.api_key_file.write_bytes(content)
    assert read_keys(account) == ("ak-1", "sk-1")
    problem = describe_key_problem(account)
    assert problem is not None
    assert problem.startswith("api_key_file: the file that it names ")
    assert "ak-new" not in problem
    account.api_key_file.write_text("ak-3")
    assert read_keys(account) == ("ak-3", "sk-1")
    assert describe_key_problem(account) is None


def test_a_key_that_was_never_usable_is_an_error(account: AccountConfig) -> None:
    """There is no old key to use, so reading raises."""
    account.api_secret_file.write_text("two\nlines")
    with pytest.raises(VenueUnreachable, match="api_secret_file: the file that it names must hold the secret alone"):
        read_keys(account)
