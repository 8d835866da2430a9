"""The certificates by which the daemon proves itself: until when each is valid.

Python reads the dates of a certificate only from its peer's in a handshake. So the two ends of one meet here in memory.
"""

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from bridge.config import Kafka, Management
from bridge.core.now import Now
from bridge.doctor.findings import Findings
from bridge.doctor.network import NO_CHECK_TIME, SOON_DAYS, CertificateEnd, read_certificate_ends

_FLIGHTS_MAX: Final = 10
"""More than a handshake has."""


class _OwnCertificate(NamedTuple):
    """A certificate of the daemon, the settings that name its files, and which end of a connection shows it."""

    finding_id: str
    setting: str
    key_setting: str
    certificate: Path
    key: Path | None
    is_servers: bool


def check_own_certificates(findings: Findings, kafka: Kafka, management: Management, now: Now) -> None:
    """Report the day on which each certificate ends that the settings name."""
    for own in _find_own_certificates(kafka, management):
        _check_certificate(findings, own, now)


def _find_own_certificates(kafka: Kafka, management: Management) -> Iterator[_OwnCertificate]:
    if kafka.ssl_certificate_file is not None:
        yield _OwnCertificate(
            "files.client_certificate",
            "kafka.ssl_certificate_file",
            "kafka.ssl_key_file",
            kafka.ssl_certificate_file,
            kafka.ssl_key_file,
            is_servers=False,
        )
    if management.tls_files is not None:
        yield _OwnCertificate(
            "files.management_certificate",
            "management.tls_certificate_file",
            "management.tls_key_file",
            *management.tls_files,
            is_servers=True,
        )


def _check_certificate(findings: Findings, own: _OwnCertificate, now: Now) -> None:
    try:
        end = _read_end(own)
    except (ssl.SSLError, OSError, ValueError) as error:
        remedy = f"check {own.setting} and {own.key_setting}: PEM files of one certificate and its key"
        findings.add_wrong(own.finding_id, own.setting, f"it cannot be used: {error}", remedy)
        return
    days, found = end.days_left(now), end.describe()
    remedy = "have it renewed, and replace its file: the bridge reads it at its next connection"
    if days < 0:
        findings.add_wrong(own.finding_id, own.setting, f"{found}: it has expired", remedy)
    elif days < SOON_DAYS:
        findings.add_note(own.finding_id, own.setting, f"{found}, in {days} days", remedy)
    else:
        findings.add_ok(own.finding_id, own.setting, found)


def _read_end(own: _OwnCertificate) -> CertificateEnd:
    """Return the end of the certificate. Raises ssl.SSLError, OSError, ValueError."""
    asking = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT if own.is_servers else ssl.PROTOCOL_TLS_SERVER)
    asking.check_hostname, asking.verify_mode = False, ssl.CERT_REQUIRED
    asking.load_verify_locations(own.certificate)
    asking.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | NO_CHECK_TIME
    proving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if own.is_servers else ssl.PROTOCOL_TLS_CLIENT)
    proving.check_hostname, proving.verify_mode = False, ssl.CERT_NONE
    for context in (proving,) if own.is_servers else (asking, proving):  # each server needs one
        context.load_cert_chain(own.certificate, own.key, password=str)
    to_asking, to_proving = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        asking.wrap_bio(to_asking, to_proving, server_side=not own.is_servers),
        proving.wrap_bio(to_proving, to_asking, server_side=own.is_servers),
    ]
    waiting = list(ends)
    for _ in range(_FLIGHTS_MAX):
        waiting = [one for one in waiting if not _go_on(one)]
    return min(read_certificate_ends(ends[0]))


def _go_on(end: ssl.SSLObject) -> bool:
    """Go on with the handshake as far as possible. Returns whether it is done. Raises ssl.SSLError."""
    try:
        end.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True
