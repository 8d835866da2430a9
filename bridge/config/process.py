"""Settings of the process itself: its management port, logs and spans."""

from typing import Annotated, Literal

from pydantic import Field

from bridge.config.section import Section
from bridge.config.values import CollectorUrl, ListenHost


class Management(Section):
    """The port of liveness and readiness. It has no authentication: keep it on loopback or inside the pod network."""

    host: ListenHost = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 9090


class Log(Section):
    """Logs on stdout: JSON, or text for people when stdout is a terminal."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "pretty"] = "auto"


class Tracing(Section):
    """Spans of commands. OpenTelemetry reads all other settings from its own variables (OTEL_…)."""

    otlp_endpoint: CollectorUrl | None = None
    """The base URL of a collector that takes OTLP over HTTP, such as http://otel-collector:4318; None: no spans."""
