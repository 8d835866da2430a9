"""Connection settings: what the client is given, that secrets do not show, and why a connection fails."""

import asyncio
import logging
import os
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.config import Kafka
from bridge.errors import ConfigError
from bridge.kafka.cluster import client_options, find_likely_cause, require_c_extension

SECRET = "correct-horse"
AUTHORITY = """\
-----BEGIN CERTIFICATE-----
MIIBdTCCARugAwIBAgIUFNtxMIbbshCMMf9WueImnmy3LmAwCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMjkxNDQ2MDVaGA8yMTI2MTEwNTE0NDYw
NVowDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABBg9
hCfN8A+9IldwNHIV175JGTQqBhC+zL5Ahzo0xeNWqeU+/eVBYMxwIYitfnpnmKd8
hASX5uo76VF2bVAEzqmjUzBRMB0GA1UdDgQWBBRztM0vLOXQTe/6k12TauTt7ge7
rTAfBgNVHSMEGDAWgBRztM0vLOXQTe/6k12TauTt7ge7rTAPBgNVHRMBAf8EBTAD
AQH/MAoGCCqGSM49BAMCA0gAMEUCIQCxK7Sm+55AaiebZDsaOj+ZWWQRaRXYuVGy
h9sTdLZvggIgVk49MlpqpB7imkwTfn5I2B11IiMpW8zqGujMzDL5Too=
-----END CERTIFICATE-----
"""


@pytest.fixture
def sasl(tmp_path: Path) -> Kafka:
    """Return settings with a password."""
    (tmp_path / "password").write_text(SECRET + "\n")
    return Kafka(
        bootstrap_servers="localhost:9093",
        security_protocol="SASL_SSL",
        sasl_username="bridge",
        sasl_password_file=tmp_path / "password",
    )


def test_secret_is_usable_and_hidden(sasl: Kafka) -> None:
    """The client can encode and join the password; printing the options shows stars."""
    options = client_options(sasl)
    password = options["sasl_plain_password"]
    assert SECRET.encode() == password.encode("utf-8")
    parts = ["bridge", password]  # as the client joins them for PLAIN
    assert f"bridge\0{SECRET}" == "\0".join(parts)
    assert SECRET not in f"{options} {password} {password!r} {password:>20}"


def test_tls_checks_the_hosts_name(sasl: Kafka) -> None:
    """TLS verifies the certificate and the host's name."""
    context = client_options(sasl)["ssl_context"]
    assert (True, ssl.CERT_REQUIRED) == (context.check_hostname, context.verify_mode)


def test_plaintext_has_no_more_than_it_needs() -> None:
    """Without TLS and SASL the client is given neither."""
    options = client_options(Kafka(bootstrap_servers="a:1"))
    assert {"bootstrap_servers", "client_id", "security_protocol"} == set(options)


def test_unusable_tls_file(tmp_path: Path) -> None:
    """A file that was good at the start and holds no certificates any more is the operator's to correct."""
    authority = tmp_path / "ca.pem"
    authority.write_text(AUTHORITY)
    kafka = Kafka(bootstrap_servers="a:1", security_protocol="SSL", ssl_ca_file=authority)
    client_options(kafka)
    authority.write_text("nothing")
    with pytest.raises(ConfigError, match="kafka: ssl_ca_file must hold PEM certificates"):
        client_options(kafka)


def test_unusable_password_file(sasl: Kafka) -> None:
    """A password file that was good at the start and cannot be used any more is named in the error."""
    assert sasl.sasl_password_file is not None
    sasl.sasl_password_file.write_text("two\nlines")
    with pytest.raises(ConfigError, match=r"kafka\.sasl_password_file: the file that it names must hold the secret"):
        client_options(sasl)


def test_client_never_logs_at_debug() -> None:
    """At DEBUG the client would write passwords and values: its loggers stay at INFO whatever the root says."""
    names = ["aiokafka.conn", "aiokafka.producer.producer"]
    before = logging.getLogger().level
    logging.getLogger().setLevel(logging.DEBUG)
    logging.getLogger(names[0]).setLevel(logging.DEBUG)
    try:
        client_options(Kafka(bootstrap_servers="a:1"))
        assert [logging.INFO] * 2 == [logging.getLogger(name).getEffectiveLevel() for name in names]
    finally:
        logging.getLogger().setLevel(before)


def test_client_does_not_repeat_itself(caplog: pytest.LogCaptureFixture) -> None:
    """The same words of the client come through once, whatever they are filled with."""
    client_options(Kafka(bootstrap_servers="a:1"))
    logger = logging.getLogger("aiokafka.conn")
    for number in range(5):
        logger.error("a node %s that is not there", number)
    assert ["a node 0 that is not there"] == caplog.messages


def test_a_missing_c_extension_is_refused() -> None:
    """With the C extension nothing is said; without it the start fails and says what to do."""
    require_c_extension()
    code = "from bridge.kafka.cluster import require_c_extension; require_c_extension()"
    slow = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", code],
        env={**os.environ, "AIOKAFKA_NO_EXTENSIONS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert 1 == slow.returncode
    assert "KafkaTrouble: aiokafka runs without its C extension" in slow.stderr


async def test_likely_causes(bootstrap: str) -> None:
    """A closed port, a listener that hangs up, one without TLS, and a broker that answers have different causes."""
    hangs_up = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with hangs_up:
        port = hangs_up.sockets[0].getsockname()[1]
        assert "what the listener speaks" in await find_likely_cause(Kafka(bootstrap_servers=f"127.0.0.1:{port}"))
    assert "check kafka.bootstrap_servers" in await find_likely_cause(Kafka(bootstrap_servers="127.0.0.1:1"))
    tls = Kafka(bootstrap_servers=bootstrap, security_protocol="SSL")
    assert "what the listener speaks" in await find_likely_cause(tls)
    assert "answers now" in await find_likely_cause(Kafka(bootstrap_servers=bootstrap))
