"""Settings of the process itself: its management port, logs and spans."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from bridge.config.section import Section
from bridge.config.tls import server_tls_context
from bridge.config.values import CollectorUrl, ListenHost, PemFile


class Management(Section):
    """The port of liveness and readiness. It has no authentication: keep it on loopback or inside the pod network."""

    host: ListenHost = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 9090
    tls_certificate_file: PemFile | None = None
    """The port's certificate, and the authorities between it and the root; without it the port is plain HTTP."""
    tls_key_file: PemFile | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.tls_certificate_file is None and self.tls_key_file is None:
            return self
        if self.tls_key_file is None:
            raise ValueError("tls_certificate_file needs tls_key_file, the key of the certificate")
        if self.tls_certificate_file is None:
            raise ValueError("tls_key_file needs tls_certificate_file, the certificate of the key")
        server_tls_context(self.tls_certificate_file, self.tls_key_file)
        return self

    @property
    def tls_files(self) -> tuple[Path, Path] | None:
        """The files of the certificate and of its key; None where the port is plain HTTP."""
        if self.tls_certificate_file is None or self.tls_key_file is None:
            return None
        return self.tls_certificate_file, self.tls_key_file


class Log(Section):
    """Logs on stdout: JSON, or text for people when stdout is a terminal."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "pretty"] = "auto"


class Tracing(Section):
    """Spans of commands. OpenTelemetry reads all other settings from its own variables (OTEL_…)."""

    otlp_endpoint: CollectorUrl | None = None
    """The base URL of a collector that takes OTLP over HTTP, such as http://otel-collector:4318; None: no spans."""
