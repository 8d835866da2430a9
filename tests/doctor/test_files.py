"""Files of secrets: who may read them, and whether they can be used; each finding has the command that mends it."""

import shlex
import subprocess
from pathlib import Path

import pytest

from bridge.config import Settings
from bridge.doctor.files import check_secret_files
from bridge.doctor.findings import Finding, Findings, Level

KEY = "accounts.main.api_key_file"


def _settings(key: Path, secret: Path) -> Settings:
    return Settings(
        environment="x",
        accounts={"main": {"api_key_file": key, "api_secret_file": secret}},
        kafka={"bootstrap_servers": "127.0.0.1:1"},
    )


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return settings whose files are as they should be."""
    for name in ("my key", "secret"):
        (tmp_path / name).write_text(name.replace(" ", "-"))
        (tmp_path / name).chmod(0o600)
    return _settings(tmp_path / "my key", tmp_path / "secret")


def _check(settings: Settings) -> dict[str, Finding]:
    """Return the only finding of each setting."""
    findings = Findings()
    check_secret_files(findings, settings)
    by_setting = {one.subject: one for one in findings.all}
    assert len(by_setting) == len(findings.all)
    return by_setting


def test_private_files_are_fit(settings: Settings) -> None:
    """One finding for each file."""
    assert {Level.OK} == {one.level for one in _check(settings).values()}


@pytest.mark.parametrize(
    ("mode", "finding_id", "level"),
    [
        (0o644, "files.readable_by_all", Level.WRONG),
        (0o602, "files.readable_by_all", Level.WRONG),
        (0o640, "files.readable_by_group", Level.NOTE),
    ],
)
def test_a_file_that_others_may_read_is_named_and_the_command_mends_it(
    settings: Settings, mode: int, finding_id: str, level: Level
) -> None:
    """The command is one for a shell, whatever the file is called."""
    path = settings.accounts["main"].api_key_file
    path.chmod(mode)
    found = _check(settings)[KEY]
    assert (found.id, found.level) == (finding_id, level)
    assert f"{mode:04o}" in found.found
    assert found.remedy == f"chmod 600 {shlex.quote(str(path))}"
    subprocess.run(shlex.split(found.remedy), check=True)  # noqa: S603 - what the doctor says
    assert _check(settings)[KEY].level is Level.OK


@pytest.mark.parametrize(
    ("mode", "finding_id", "level"),
    [
        (0o440, "files.secret", Level.OK),
        (0o640, "files.secret", Level.OK),
        (0o644, "files.readable_by_all", Level.NOTE),
    ],
)
def test_a_mounted_secret_of_kubernetes_may_be_read_by_its_group(
    tmp_path: Path, mode: int, finding_id: str, level: Level
) -> None:
    """Its files are links into a folder that changes with the Secret; chmod would be of no use there."""
    version = tmp_path / "..2026_11_30"
    version.mkdir()
    (tmp_path / "..data").symlink_to(version.name)
    for name in ("api-key", "api-secret"):
        (version / name).write_text(name)
        (version / name).chmod(mode)
        (tmp_path / name).symlink_to(f"..data/{name}")
    found = _check(_settings(tmp_path / "api-key", tmp_path / "api-secret"))[KEY]
    assert (found.id, found.level) == (finding_id, level)
    assert ("defaultMode: 0440" in found.remedy) is (level is Level.NOTE)


@pytest.mark.parametrize(
    ("content", "told"), [(None, "does not exist"), ("", "must hold the secret alone"), ("a b", "must hold the secret")]
)
def test_a_file_that_became_unusable_is_named(settings: Settings, content: str | None, told: str) -> None:
    """Missing, empty, or with more than a secret; its content is not shown."""
    path = settings.accounts["main"].api_key_file
    path.unlink() if content is None else path.write_text(content)
    found = _check(settings)[KEY]
    assert (found.id, found.level) == ("files.unusable", Level.WRONG)
    assert told in found.found
    assert found.remedy
