"""Files of secrets: who may read them, and whether they can be used; each finding has the command that mends it."""

import os
import shlex
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from bridge.config import Kafka, Management, Settings
from bridge.core.now import Now
from bridge.doctor.files import check_secret_files
from bridge.doctor.findings import Finding, Findings, Level
from bridge.doctor.own_certificates import check_own_certificates
from tests.support.raw_venue import CERTIFICATES

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


def test_a_file_in_a_read_only_mount_cannot_be_changed_there(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a secret of a container: the finding is a note, and its remedy is not chmod."""

    class ReadOnly(NamedTuple):
        f_flag: int = os.ST_RDONLY

    settings.accounts["main"].api_key_file.chmod(0o444)
    monkeypatch.setattr(os, "statvfs", lambda _: ReadOnly())
    found = _check(settings)[KEY]
    assert (found.id, found.level) == ("files.readable_by_all", Level.NOTE)
    assert "where it is mounted" in found.remedy


@pytest.mark.parametrize(("days", "level"), [(30, Level.OK), (20, Level.NOTE), (-1, Level.WRONG)])
def test_the_end_of_the_daemons_own_certificates_is_told(days: int, level: Level) -> None:
    """Of the one for brokers and of the one of the management port, and of one that has expired too."""
    certificate, key = CERTIFICATES / "expired.pem", CERTIFICATES / "localhost.key"
    kafka = Kafka(
        bootstrap_servers="127.0.0.1:1",
        security_protocol="SSL",
        ssl_certificate_file=certificate,
        ssl_key_file=key,
    )
    management = Management(tls_certificate_file=certificate, tls_key_file=key)
    ends = datetime(2021, 1, 1, tzinfo=UTC)
    now = Now(0.0, int((ends - timedelta(days=days, hours=1)).timestamp() * 1000))
    findings = Findings()
    check_own_certificates(findings, kafka, management, now)
    assert [(one.id, one.level) for one in findings.all] == [
        ("files.client_certificate", level),
        ("files.management_certificate", level),
    ]
    for found in findings.all:
        assert "2021-01-01" in found.found
        assert bool(found.remedy) is (level is not Level.OK)


def test_without_certificates_there_is_nothing_to_tell() -> None:
    """Neither Kafka nor the management port speaks TLS by default."""
    findings = Findings()
    check_own_certificates(findings, Kafka(bootstrap_servers="127.0.0.1:1"), Management(), Now(0.0, 0))
    assert findings.all == []


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
