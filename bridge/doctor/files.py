"""The settings and the files of secrets: whether each can be used, and who may read it."""

import os
import shlex
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from bridge.config import Settings
from bridge.config.files import UnusableFile, read_secret
from bridge.config.tls import check_pem
from bridge.config.warnings import find_secret_files, warn_of_clear_text
from bridge.doctor.findings import Finding, Findings, Level

_OTHERS: Final = stat.S_IRWXO
_GROUP: Final = stat.S_IRWXG
_KUBERNETES_LINK: Final = "..data"
"""A mounted Secret is a folder of links into this link, which Kubernetes moves when the Secret changes."""
_PEM_SETTINGS: Final = frozenset({"kafka.ssl_key_file", "management.tls_key_file"})


def report_settings(findings: Findings, settings: Settings) -> None:
    """Report the settings that could be read, and what is unsafe about them."""
    count = len(settings.accounts)
    found = (
        f"environment {settings.environment}, {count} account{'s' if count > 1 else ''}: {', '.join(settings.accounts)}"
    )
    findings.add_ok("config.settings", "configuration", found)
    for warning in warn_of_clear_text(settings):
        findings.add_problem(warning, Level.NOTE)


def report_unusable_settings(findings: Findings, problems: Sequence[str]) -> None:
    """Report settings that cannot be read; each problem is text as `WHERE: WHAT; REMEDY`."""
    for problem in problems:
        subject, separator, text = problem.partition(": ")
        subject, text = (subject, text) if separator else ("configuration", problem)
        found, _, remedy = text.partition("; ")
        finding_id = "files.unusable" if subject.endswith("_file") else "config.settings"
        findings.add_wrong(finding_id, subject, found, remedy or "correct the settings")


def check_secret_files(findings: Findings, settings: Settings) -> None:
    """Read each file of a secret as the daemon does, and check its mode."""
    for setting, path in find_secret_files(settings).items():
        try:
            if setting in _PEM_SETTINGS:
                check_pem(path)
            else:
                read_secret(path)
            found = list(_judge_mode(setting, path, path.stat()))
        except (UnusableFile, OSError) as error:
            reason, _, remedy = str(error).partition("; ")
            findings.add_wrong("files.unusable", setting, reason, remedy or f"check {path}, its mode and its owner")
            continue
        findings.add(
            *found or [Finding("files.secret", Level.OK, setting, f"{path} holds a secret, and not for all to read")]
        )


def _judge_mode(setting: str, path: Path, status: os.stat_result) -> Iterator[Finding]:
    """Yield what is wrong with who may read or write a file."""
    mode, file = status.st_mode, shlex.quote(str(path))
    told = f"{path} has the mode {stat.S_IMODE(mode):04o}"
    if _is_mounted_secret(path) or os.statvfs(path).f_flag & os.ST_RDONLY:
        # Only the container can see it. A Secret belongs to root, and its group may read it by fsGroup.
        if mode & _OTHERS:
            remedy = "set its mode where it is mounted: in Kubernetes defaultMode: 0440 at the volume, and fsGroup"
            yield Finding("files.readable_by_all", Level.NOTE, setting, f"{told}, in a read-only mount", remedy)
        return
    is_ours = status.st_uid == os.geteuid()
    if mode & _OTHERS:
        found = f"{told}: any user of this machine may read or change it"
        remedy = f"chmod 600 {file}" if is_ours else f"chown {os.geteuid()} {file} && chmod 600 {file}"
        yield Finding("files.readable_by_all", Level.WRONG, setting, found, remedy)
    elif mode & _GROUP and is_ours:
        yield Finding("files.readable_by_group", Level.NOTE, setting, f"{told}: its group may too", f"chmod 600 {file}")


def _is_mounted_secret(path: Path) -> bool:
    """Return whether a file is in a Secret that Kubernetes has mounted."""
    link = path.parent / _KUBERNETES_LINK
    return link.is_symlink() and path.resolve().is_relative_to(link.resolve())
