"""Values of settings that are more than a type can say: files that hold secrets, and URLs."""

import re
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator


def _read_secret(path: Path) -> Path:
    """Check that a secret's file is there and holds one line; the content is read when it is used.

    The path is not told: where a secret stands in its place, that would show it.
    """
    try:
        content = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise ValueError("the file that it names does not exist; mount the secret there or correct the path") from None
    except (OSError, ValueError) as error:
        raise ValueError(
            f"the file that it names cannot be read ({type(error).__name__}); check it and its mode"
        ) from None
    if not content or len(content.split()) != 1:
        raise ValueError("the file that it names must hold the secret alone, on one line")
    return path


SecretFile = Annotated[Path, AfterValidator(_read_secret)]


def _scheme(url: str, *, secure: str, plain: str) -> str:
    local = re.match(rf"^{plain}://(127\.0\.0\.1|localhost|\[::1\]|[a-z0-9-]+)(:\d+)?(/|$)", url)
    if not url.startswith(f"{secure}://") and not local:
        raise ValueError(f"must begin with {secure}:// ({plain}:// only for a host without dots, such as a sandbox's)")
    return url.rstrip("/")


WebSocketUrl = Annotated[str, AfterValidator(partial(_scheme, secure="wss", plain="ws"))]
RestUrl = Annotated[str, AfterValidator(partial(_scheme, secure="https", plain="http"))]


def _collector(url: str) -> str:
    url = url.rstrip("/")
    if not re.fullmatch(r"https?://[^\s/@?#]+(/[^\s?#]*)?", url) or url.endswith("/v1/traces"):
        raise ValueError(
            "must be the collector's base URL, such as http://otel-collector:4318, without user, query or /v1/traces; "
            "what it wants for authentication goes into the variable OTEL_EXPORTER_OTLP_HEADERS"
        )
    try:
        installed = find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ModuleNotFoundError:
        installed = False
    if not installed:
        raise ValueError(
            "OpenTelemetry is not installed; install ltp-kafka-bridge[otel], "
            "or build the image with --build-arg REQUIREMENTS=requirements-otel.txt"
        )
    return url


CollectorUrl = Annotated[str, AfterValidator(_collector)]
