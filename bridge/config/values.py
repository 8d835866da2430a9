"""Types of settings with checks of their own: secrets, addresses and durations."""

from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from bridge.config.addresses import check_host, check_servers, is_this_machine, parse_url
from bridge.config.files import read_secret
from bridge.config.tls import check_pem


def seconds(most: float, least: float = 0.01) -> Any:  # noqa: ANN401 - pydantic's own type for what Field gives
    """Return the bounds of a duration in seconds; infinity and NaN are refused."""
    return Field(ge=least, le=most, allow_inf_nan=False)


def _check_secret(path: Path) -> Path:
    """Check that a file holds a secret, which is read again at each use; return the path. Raises UnusableFile.

    The error does not show the path: somebody may have written the secret itself in its place.
    """
    read_secret(path)
    return path


SecretFile = Annotated[Path, AfterValidator(_check_secret)]
PemFile = Annotated[Path, AfterValidator(check_pem)]


def _check_url(url: str, *, secure: str, plain: str, path: bool) -> str:
    address = parse_url(url)
    if address.scheme not in {secure, plain}:
        raise ValueError(f"must begin with {secure}://")
    if address.scheme == plain and not is_this_machine(address.host):
        raise ValueError(f"must begin with {secure}:// ({plain}:// only for 127.0.0.1, [::1] and localhost)")
    # A test server on this machine may use any path.
    if path and (address.path.endswith("/public") or (not address.path and address.scheme == secure)):
        raise ValueError("must end with the path of the private stream, such as /v1/private")
    if not path and address.path:
        raise ValueError("must end with the host or its port; the bridge adds the paths")
    return url.rstrip("/")


def _check_proxy(url: str) -> str:
    address = parse_url(url)
    if address.scheme != "http" or address.path:
        raise ValueError("must be an HTTP proxy such as http://proxy:3128; the traffic through it is still TLS")
    return url.rstrip("/")


WebSocketUrl = Annotated[str, AfterValidator(partial(_check_url, secure="wss", plain="ws", path=True))]
RestUrl = Annotated[str, AfterValidator(partial(_check_url, secure="https", plain="http", path=False))]
ProxyUrl = Annotated[str, AfterValidator(_check_proxy)]
Servers = Annotated[str, AfterValidator(check_servers)]
ListenHost = Annotated[str, AfterValidator(check_host)]


def _check_collector(url: str) -> str:
    try:
        address = parse_url(url)
    except ValueError as error:
        reason = str(error)
    else:
        fits = address.scheme in {"http", "https"} and not address.path.endswith("/v1/traces")
        reason = "" if fits else "without /v1/traces"
    if reason:
        raise ValueError(
            f"must be the collector's base URL, such as http://otel-collector:4318 ({reason}); "
            "credentials belong into the variable OTEL_EXPORTER_OTLP_HEADERS"
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
    return url.rstrip("/")


CollectorUrl = Annotated[str, AfterValidator(_check_collector)]
