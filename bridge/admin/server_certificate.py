"""The certificate of the management port: files that were replaced are taken up at the next connection."""

import ssl
from pathlib import Path

import structlog

from bridge.config.tls import server_tls_context

_log = structlog.get_logger()

_Version = tuple[tuple[int, int, int], ...]


class ServerCertificate:
    """The TLS context of a server, as its files are now; while they cannot be used, as they last could."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Read the files. Raises ValueError when they cannot be used."""
        self._files = (certificate, key)
        self._seen = self._read_version()
        self._context = server_tls_context(certificate, key)

    def read_context(self) -> ssl.SSLContext:
        """Return the context for the next connection."""
        version = self._read_version()
        if version == self._seen:
            return self._context
        # Before the files are read: one that is replaced meanwhile has another version at the next connection.
        self._seen = version
        try:
            self._context = server_tls_context(*self._files)
        except ValueError as error:
            _log.error("management.certificate_unusable", detail=str(error))
        else:
            _log.info("management.certificate_renewed")
        return self._context

    def _read_version(self) -> _Version | None:
        """Return what changes with the files; None while one of them cannot be found."""
        try:
            found = [path.stat() for path in self._files]
        except OSError:
            return None
        return tuple((one.st_ino, one.st_mtime_ns, one.st_size) for one in found)
