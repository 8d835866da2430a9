"""The certificate by which this client proves itself to the brokers: until when it is valid.

Python reads the dates of a certificate only from its peer's in a handshake. So the two ends of one meet here in memory.
"""

import ssl
from typing import Final

from bridge.config import Kafka
from bridge.core.now import Now
from bridge.doctor.findings import Findings
from bridge.doctor.network import NO_CHECK_TIME, SOON_DAYS, CertificateEnd, read_certificate_ends

_SETTING: Final = "kafka.ssl_certificate_file"
_FLIGHTS_MAX: Final = 10
"""More than a handshake has."""


def check_client_certificate(findings: Findings, kafka: Kafka, now: Now) -> None:
    """Report the day on which the client's certificate ends, if the settings name one."""
    if kafka.ssl_certificate_file is None:
        return
    try:
        end = _read_end(kafka)
    except (ssl.SSLError, OSError, ValueError) as error:
        remedy = f"check {_SETTING} and kafka.ssl_key_file: PEM files of one certificate and its key"
        findings.add_wrong("files.client_certificate", _SETTING, f"it cannot be used: {error}", remedy)
        return
    days, found = end.days_left(now), end.describe()
    remedy = "have it renewed, and replace its file: the bridge reads it at its next connection"
    if days < 0:
        findings.add_wrong("files.client_certificate", _SETTING, f"{found}: it has expired", remedy)
    elif days < SOON_DAYS:
        findings.add_note("files.client_certificate", _SETTING, f"{found}, in {days} days", remedy)
    else:
        findings.add_ok("files.client_certificate", _SETTING, found)


def _read_end(kafka: Kafka) -> CertificateEnd:
    """Return the end of the certificate. Raises ssl.SSLError, OSError, ValueError."""
    assert kafka.ssl_certificate_file is not None  # noqa: S101 - for the types
    asking = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    asking.load_cert_chain(kafka.ssl_certificate_file, kafka.ssl_key_file, password=str)
    asking.load_verify_locations(kafka.ssl_certificate_file)
    asking.verify_mode = ssl.CERT_REQUIRED
    asking.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | NO_CHECK_TIME
    proving = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    proving.check_hostname, proving.verify_mode = False, ssl.CERT_NONE
    proving.load_cert_chain(kafka.ssl_certificate_file, kafka.ssl_key_file, password=str)
    to_asking, to_proving = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        asking.wrap_bio(to_asking, to_proving, server_side=True),
        proving.wrap_bio(to_proving, to_asking, server_side=False),
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
