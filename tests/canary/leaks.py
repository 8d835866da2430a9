"""Leaks of every kind, planted: `test_canary.py` runs this file with `--canary`, and each must be found."""

import asyncio
import logging
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import aiohttp
import click
import pytest
import structlog
from aiohttp import web
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from click.testing import CliRunner
from structlog.testing import capture_logs

from bridge.admin.management import serve
from bridge.config import Management
from bridge.config.files import read_file, read_secret
from bridge.config.tls import PEM_BYTES_MAX
from bridge.sandbox.venue.keys import sign_login
from tests.support.raw_venue import CERTIFICATES

SECRET = "planted/canary+1234567"


@pytest.fixture(autouse=True)
def secret(tmp_path: Path) -> str:
    """Return a secret as the daemon reads it."""
    (tmp_path / "secret").write_text(SECRET)
    return read_secret(tmp_path / "secret")


def _print_in_process(secret: str) -> list[str]:
    half = len(secret) // 2
    return [
        sys.executable,
        "-c",
        f"import sys; sys.stdout.write({secret[:half]!r} + {secret[half:]!r}); sys.stdout.flush()",
    ]


def test_clean_outputs() -> None:
    """The only one that leaks nothing."""
    print("all is well")  # noqa: T201 - what a leak would look like
    structlog.get_logger().debug("all.is_well")


def test_leak_in_a_log_line(secret: str) -> None:
    """At DEBUG."""
    structlog.get_logger().debug("a.leak", detail=secret)


def test_leak_in_a_captured_log_line(secret: str) -> None:
    """A test takes it."""
    with capture_logs():
        structlog.get_logger().debug("a.leak", detail=secret)


def test_leak_in_a_library_line(secret: str) -> None:
    """At DEBUG, too."""
    logging.getLogger("x").debug("a leak: %s", secret)


def test_leak_on_stdout(secret: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A test takes it."""
    print(secret)  # noqa: T201
    assert capsys.readouterr().out


def test_leak_of_the_command_line(secret: str) -> None:
    """Through click's runner."""

    @click.command()
    def show() -> None:
        click.echo(secret)

    assert CliRunner().invoke(show).exit_code == 0


def test_leak_in_a_url(secret: str) -> None:
    """As it is written there."""
    print(quote(secret, safe=""))  # noqa: T201


def test_leak_of_a_signature(secret: str) -> None:
    """It is no secret of a file."""
    print(sign_login(secret, "1796000000"))  # noqa: T201


def test_leak_of_a_tls_key() -> None:
    """One of its lines is enough."""
    print(read_file(CERTIFICATES / "other.key", PEM_BYTES_MAX).split(b"\n")[1].decode())  # noqa: T201


def test_leak_of_a_process(secret: str) -> None:
    """Its test looks at nothing."""
    subprocess.run(_print_in_process(secret), capture_output=True, check=True)  # noqa: S603


@pytest.mark.parametrize("stdout", [asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL])
async def test_leak_of_a_process_of_the_loop(secret: str, stdout: int) -> None:
    """Whether somebody reads it or not."""
    process = await asyncio.create_subprocess_exec(*_print_in_process(secret), stdout=stdout)
    await process.communicate()


async def test_leak_on_a_page(secret: str) -> None:
    """Of the management port."""

    async def show(request: web.Request) -> web.Response:
        return web.Response(text=secret)

    async with (
        serve(Management(port=0), [web.get("/", show)]) as port,
        aiohttp.ClientSession() as http,
        http.get(f"http://127.0.0.1:{port}/"),
    ):
        pass


async def test_leak_on_a_topic(secret: str, bootstrap: str) -> None:
    """In a header of a record."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic("a-topic", 1, 1)])
    await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        await producer.send_and_wait("a-topic", b"value", headers=[("h", secret.encode())])
