"""Read the TLS files that settings name, and build TLS contexts from them."""

import ssl
from pathlib import Path
from typing import Final

from bridge.config.files import read_file

PEM_BYTES_MAX: Final = 4 * 1024 * 1024
"""Ten times the size of a bundle with every public authority."""


def tls_context(ca: Path | None, certificate: Path | None, key: Path | None) -> ssl.SSLContext:
    """Return a client's context that verifies the server. Raises ValueError when the files cannot be used."""
    try:
        context = ssl.create_default_context(cafile=ca)
    except (ssl.SSLError, OSError) as error:
        raise ValueError(f"ssl_ca_file must hold PEM certificates ({_describe_reason(error)})") from None
    if certificate is not None:
        _load_certificate(context, certificate, key, "ssl_certificate_file", "ssl_key_file (or the same file)")
    return context


def server_tls_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return the context of a server with TLS 1.2 or newer. Raises ValueError when the files cannot be used."""
    check_pem(certificate)  # what is no regular file, OpenSSL would wait for
    check_pem(key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # With TLS 1.2 each new handshake on a connection would cost this process far more than its caller.
    context.options |= ssl.OP_NO_RENEGOTIATION
    _load_certificate(context, certificate, key, "tls_certificate_file", "tls_key_file")
    return context


def _load_certificate(
    context: ssl.SSLContext, certificate: Path, key: Path | None, certificate_setting: str, key_setting: str
) -> None:
    """Load a certificate and its key; the error names the settings. Raises ValueError when they cannot be used."""
    try:
        # Without this argument OpenSSL would ask for a passphrase on the terminal.
        context.load_cert_chain(certificate, key, password=str)
    except (ssl.SSLError, OSError) as error:
        raise ValueError(
            f"{certificate_setting} must hold a PEM certificate, and {key_setting} the key without passphrase that "
            f"belongs to it ({_describe_reason(error)})"
        ) from None


def check_pem(path: Path) -> Path:
    """Check that a file is readable and in the PEM form; return its path. Raises ValueError."""
    if b"-----BEGIN" not in read_file(path, PEM_BYTES_MAX):
        raise ValueError("the file that it names is not in the PEM form (-----BEGIN …)")
    return path


def check_ca(path: Path) -> Path:
    """Check that a file holds certificates to trust; return its path. Raises ValueError."""
    check_pem(path)
    try:
        ssl.create_default_context(cafile=path)
    except (ssl.SSLError, OSError) as error:
        raise ValueError(
            f"the file that it names holds no certificate that can be read ({_describe_reason(error)})"
        ) from None
    return path


def _describe_reason(error: OSError) -> str:
    return str(getattr(error, "reason", None) or error.strerror or type(error).__name__)
