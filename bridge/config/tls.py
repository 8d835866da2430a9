"""TLS: the files that settings name, and what is made of them."""

import ssl
from pathlib import Path
from typing import Final

from bridge.config.files import read_file

PEM_BYTES_MAX: Final = 4 * 1024 * 1024
"""A bundle of every public authority has a tenth of it."""


def tls_context(ca: Path | None, certificate: Path | None, key: Path | None) -> ssl.SSLContext:
    """Make the context of a client that verifies. Raises ValueError, in words, when the files cannot be used."""
    try:
        context = ssl.create_default_context(cafile=ca)
    except (ssl.SSLError, OSError) as error:
        raise ValueError(f"ssl_ca_file must hold PEM certificates ({_reason(error)})") from None
    if certificate is not None:
        try:
            # Without a passphrase given, OpenSSL would ask for one on the terminal.
            context.load_cert_chain(certificate, key, password=str)
        except (ssl.SSLError, OSError) as error:
            raise ValueError(
                "ssl_certificate_file must hold a PEM certificate, and ssl_key_file (or the same file) the key without "
                f"passphrase that belongs to it ({_reason(error)})"
            ) from None
    return context


def check_pem(path: Path) -> Path:
    """Check that a file can be read and holds something in the PEM form. Raises ValueError."""
    if b"-----BEGIN" not in read_file(path, PEM_BYTES_MAX):
        raise ValueError("the file that it names is not in the PEM form (-----BEGIN …)")
    return path


def check_ca(path: Path) -> Path:
    """Check that a file holds certificates to trust. Raises ValueError."""
    check_pem(path)
    try:
        ssl.create_default_context(cafile=path)
    except (ssl.SSLError, OSError) as error:
        raise ValueError(f"the file that it names holds no certificate that can be read ({_reason(error)})") from None
    return path


def _reason(error: OSError) -> str:
    return str(getattr(error, "reason", None) or error.strerror or type(error).__name__)
