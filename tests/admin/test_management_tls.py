"""The management port speaks TLS where the settings name a certificate."""

import asyncio
import contextlib
import shutil
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from bridge.admin.bounded_server import CONNECTION_S, CONNECTIONS_MAX, serve_bounded
from bridge.admin.health import AccountHealth, make_probe_routes
from bridge.admin.management import build_application, serve
from bridge.admin.server_certificate import ServerCertificate
from bridge.config import Management
from bridge.config.tls import server_tls_context
from tests.support.raw_venue import CERTIFICATES
from tests.witness.waiting import until

CERTIFICATE, KEY, OTHER_KEY = (CERTIFICATES / name for name in ("localhost.pem", "localhost.key", "other.key"))


@pytest.fixture
def files(tmp_path: Path) -> Management:
    """Return settings whose files the test may replace."""
    shutil.copy(CERTIFICATE, tmp_path / "tls.crt")
    shutil.copy(KEY, tmp_path / "tls.key")
    return Management(port=0, tls_certificate_file=tmp_path / "tls.crt", tls_key_file=tmp_path / "tls.key")


def _count_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _make_routes() -> list[web.RouteDef]:
    return make_probe_routes(lambda: {"main": AccountHealth(ready=True, phase="owner")})


@contextlib.asynccontextmanager
async def _short_lived() -> AsyncIterator[int]:
    """Serve with connections that live for 0.3 s."""
    context = server_tls_context(CERTIFICATE, KEY)
    async with serve_bounded(
        build_application(_make_routes()), "127.0.0.1", 0, read_context=lambda: context, connection_s=0.3
    ) as port:
        yield port


def _trust(certificate: Path = CERTIFICATE) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificate)


async def _get_status(port: int, path: str = "/livez", context: ssl.SSLContext | None = None) -> int:
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"https://127.0.0.1:{port}{path}", ssl=context or _trust(), server_hostname="localhost") as answer,
    ):
        await answer.read()
        return answer.status


async def _read_to_end(reader: asyncio.StreamReader, timeout_s: float) -> bytes:
    with contextlib.suppress(ConnectionError):
        return await asyncio.wait_for(reader.read(), timeout_s)
    return b""


async def test_a_probe_gets_its_answer_over_tls(files: Management) -> None:
    """A client that verifies the certificate gets the pages, with TLS 1.2 and 1.3, again and again."""
    async with serve(files, _make_routes()) as port:
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = _trust()
            context.minimum_version = context.maximum_version = version
            for _ in range(20):
                assert await _get_status(port, "/readyz", context) == 200


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
async def test_old_versions_of_tls_are_refused(files: Management) -> None:
    """TLS 1.1 gets no handshake."""
    context = _trust()
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    async with serve(files, _make_routes()) as port:
        with pytest.raises(aiohttp.ClientConnectorError):
            await _get_status(port, context=context)
        assert await _get_status(port) == 200


@pytest.mark.parametrize("said", [b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n", b"\0" * 100, b"\x16\x03\x01\x00\x05hello"])
async def test_what_is_no_tls_is_cut_off_at_once(files: Management, said: bytes) -> None:
    """Plain HTTP on the TLS port ends long before a connection's time, without an answer in clear text."""
    async with serve(files, _make_routes()) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(said)
        began_s = time.monotonic()
        assert b"HTTP" not in await _read_to_end(reader, CONNECTION_S)
        assert time.monotonic() - began_s < CONNECTION_S / 2
        writer.transport.abort()
        assert await _get_status(port) == 200


async def test_callers_that_shake_no_hands_hold_up_nobody(files: Management) -> None:
    """While hundreds keep a handshake open, a probe gets its answer and the process keeps its descriptors."""
    async with serve(files, _make_routes()) as port:
        before = _count_descriptors()
        opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(400)]
        for _, writer in opened[::2]:
            writer.write(b"\x16\x03\x01\x02\x00")
        try:
            assert await _get_status(port) == 200
            # The callers' own ends are in this process, too.
            await until(lambda: _count_descriptors() - before <= 400 + CONNECTIONS_MAX)
        finally:
            for _, writer in opened:
                writer.transport.abort()
        await until(lambda: _count_descriptors() <= before)


@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01\x02\x00"])
async def test_no_handshake_lasts_for_long(said: bytes) -> None:
    """A connection is ended after its time, whatever part of a handshake its caller has sent, and leaves nothing."""
    before = _count_descriptors()
    async with _short_lived() as port:
        opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        for _, writer in opened:
            writer.write(said)
        for reader, writer in opened:
            assert await _read_to_end(reader, 20) == b""
            writer.transport.abort()
    await until(lambda: _count_descriptors() <= before)
    assert [task for task in asyncio.all_tasks() if task.get_name() == "TLS handshake"] == []


@pytest.mark.parametrize("said", [b"", b"GET /livez HTTP/1.1\r\n", b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n" * 2000])
async def test_no_connection_over_tls_lasts_for_long(said: bytes) -> None:
    """After its handshake too, whether its caller says nothing, half a request or far too many."""
    before = _count_descriptors()
    async with _short_lived() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=_trust(), server_hostname="localhost")
        writer.write(said)
        assert (await _read_to_end(reader, 20)).count(b"HTTP/1.1 200") <= 1
        writer.transport.abort()
        await until(lambda: _count_descriptors() - before <= 2)
    await until(lambda: _count_descriptors() <= before)


async def test_the_end_waits_for_no_handshake(files: Management) -> None:
    """A process that stops leaves neither a task nor a descriptor of the callers."""
    before = _count_descriptors()
    async with contextlib.AsyncExitStack() as serving:
        port = await serving.enter_async_context(serve(files, _make_routes()))
        opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(10)]
        began_s = time.monotonic()
        await serving.aclose()
        assert time.monotonic() - began_s < CONNECTION_S * 0.9
    for _, writer in opened:
        writer.transport.abort()
    await until(lambda: _count_descriptors() <= before)


def test_the_loop_of_asyncio_serves_tls_too() -> None:
    """Where uvloop has no wheel: answers, cut off callers and open handshakes leave no descriptor."""

    async def try_callers() -> None:
        async with _short_lived() as port:
            opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(100)]
            opened[0][1].write(b"GET /livez HTTP/1.1\r\n\r\n")
            assert [await _get_status(port) for _ in range(5)] == [200] * 5
            for reader, writer in opened:
                await _read_to_end(reader, 20)
                writer.transport.abort()

    before = _count_descriptors()
    asyncio.run(try_callers())
    assert _count_descriptors() <= before


async def test_a_renewed_certificate_is_taken_up_without_a_restart(files: Management) -> None:
    """The next connection gets it; while the files do not fit together the port goes on with the last that did."""
    assert files.tls_certificate_file is not None
    assert files.tls_key_file is not None
    shutil.copy(CERTIFICATES / "expired.pem", files.tls_certificate_file)
    async with serve(files, _make_routes()) as port:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):  # it has expired
            await _get_status(port)
        shutil.copy(CERTIFICATE, files.tls_certificate_file)
        assert await _get_status(port) == 200
        with capture_logs() as lines:
            shutil.copy(OTHER_KEY, files.tls_key_file)
            assert [await _get_status(port) for _ in range(3)] == [200] * 3
            files.tls_key_file.unlink()
            assert [await _get_status(port) for _ in range(3)] == [200] * 3
            shutil.copy(KEY, files.tls_key_file)
            assert await _get_status(port) == 200
    assert [line["event"] for line in lines] == [
        "management.certificate_unusable",
        "management.certificate_unusable",
        "management.certificate_renewed",
    ]
    assert "tls_key_file" in lines[0]["detail"]
    assert str(files.tls_key_file) not in str(lines)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"tls_certificate_file": CERTIFICATE}, "tls_certificate_file needs tls_key_file"),
        ({"tls_key_file": KEY}, "tls_key_file needs tls_certificate_file"),
        (
            {"tls_certificate_file": CERTIFICATE, "tls_key_file": OTHER_KEY},
            "the key without passphrase that belongs to",
        ),
        ({"tls_certificate_file": KEY, "tls_key_file": KEY}, "tls_certificate_file must hold a PEM certificate"),
        ({"tls_certificate_file": CERTIFICATE, "tls_key_file": "no-such"}, "does not exist"),
        ({"tls_certificate_file": "/dev/zero", "tls_key_file": KEY}, "no regular file"),
        ({"tls_certificate_file": __file__, "tls_key_file": KEY}, "not in the PEM form"),
    ],
)
def test_files_that_cannot_be_used_are_an_error_at_the_start(values: dict[str, Path | str], told: str) -> None:
    """One without the other, ones that do not belong together, and what is no certificate at all."""
    with pytest.raises(ValueError, match=told):
        Management(**values)


def test_files_replaced_before_the_start_are_an_error_of_the_settings(files: Management) -> None:
    """The port reads them once more when it is opened."""
    assert files.tls_files is not None
    shutil.copy(OTHER_KEY, files.tls_files[1])
    with pytest.raises(ValueError, match="belongs to it"):
        ServerCertificate(*files.tls_files)
