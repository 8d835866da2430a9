"""Where the secrets and the outputs of a run are taken from: the few places that all of them pass."""

import asyncio
import asyncio.subprocess
import contextlib
import re
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import wraps
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
import structlog
from aiohttp import web
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from click.testing import CliRunner

from bridge import app
from bridge.admin import management
from bridge.config import files
from bridge.ltp import signing
from bridge.sandbox.broker.container import ContainerBroker
from bridge.sandbox.broker.embedded import EmbeddedBroker
from bridge.sandbox.venue import keys
from tests.canary.outputs import Outputs
from tests.canary.secrets import Secrets

PAGES: Final = ("/", "/status.json", "/readyz", "/livez", "/metrics", "/events")
_PAGES_PERIOD_S: Final = 0.5
_TOPICS_DEADLINE_S: Final = 60.0
_STARTED: Final = re.compile(rb'"management_port": (\d+)')
_EVENTS_BYTES_MAX: Final = 64 * 1024


def tap_secrets(patch: pytest.MonkeyPatch, secrets: Secrets) -> None:
    """Take in every secret that is read from a file, of every key of the sandbox, and every signature."""
    read_regular, add_key = files._read_regular, keys.KeyRing.add

    @wraps(read_regular)
    def read(path: Path, size: int) -> bytes | None:
        content = read_regular(path, size)
        if content and size == files.SECRET_BYTES_MAX + 1:
            secrets.add("secret file", content.decode("latin-1").strip())
        elif content and b"PRIVATE KEY" in content:
            secrets.add_pem(content.decode("latin-1"))
        return content

    def add(ring: keys.KeyRing, key: keys.ApiKey) -> None:
        secrets.add("API key", key.api_key)
        secrets.add("API secret", key.api_secret)
        add_key(ring, key)

    patch.setattr(files, "_read_regular", read)
    patch.setattr(keys.KeyRing, "add", add)
    for module, name in ((signing, "_sign_sha256"), (keys, "_hmac_hex")):
        patch.setattr(module, name, _note_signatures(getattr(module, name), secrets))


def _note_signatures(sign: Callable[..., str], secrets: Secrets) -> Callable[..., str]:
    @wraps(sign)
    def noted(*args: str) -> str:
        signature = sign(*args)
        secrets.add_signature(signature)
        return signature

    return noted


def tap_texts(patch: pytest.MonkeyPatch, outputs: Outputs) -> None:
    """Take in what tests take away before pytest sees it: captured output, log lines and command lines."""
    read_out, capture, invoke = (
        pytest.CaptureFixture.readouterr,
        structlog.testing.LogCapture.__call__,
        CliRunner.invoke,
    )

    def read(fixture: pytest.CaptureFixture[Any]) -> Any:  # noqa: ANN401 - as pytest has it
        taken = read_out(fixture)
        for part in taken:
            outputs.add("stdout and stderr", part)
        return taken

    def note(capturing: Any, logger: Any, method: str, event: Any) -> Any:  # noqa: ANN401 - as structlog has it
        outputs.add("log lines", repr(event))
        return capture(capturing, logger, method, event)

    def run(runner: CliRunner, *args: Any, **named: Any) -> Any:  # noqa: ANN401 - as click has it
        result = invoke(runner, *args, **named)
        outputs.add("stdout and stderr", result.output_bytes if hasattr(result, "output_bytes") else result.output)
        return result

    patch.setattr(pytest.CaptureFixture, "readouterr", read)
    patch.setattr(structlog.testing.LogCapture, "__call__", note)
    patch.setattr(CliRunner, "invoke", run)


class Pages:
    """Asks the management port of each daemon for all its pages, again and again while it runs."""

    def __init__(self, outputs: Outputs) -> None:
        self._outputs = outputs
        self._tasks: set[asyncio.Task[None]] = set()

    def watch(self, port: int) -> asyncio.Task[None]:
        """Begin to ask; a port that is closed ends it."""
        task = asyncio.get_running_loop().create_task(self._ask_until_closed(port), name="canary pages")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _ask_until_closed(self, port: int) -> None:
        with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
            while True:
                await self.ask(port)
                await asyncio.sleep(_PAGES_PERIOD_S)

    async def ask(self, port: int) -> None:
        """Ask for each page once. Raises aiohttp's errors."""
        limits = aiohttp.ClientTimeout(total=5)
        async with aiohttp.ClientSession(timeout=limits) as http:
            for path in PAGES:
                async with http.get(f"http://127.0.0.1:{port}{path}") as answer:
                    body = await (answer.content.read(_EVENTS_BYTES_MAX) if path == "/events" else answer.read())
                where = "metrics" if path == "/metrics" else "pages"
                self._outputs.add(where, str(answer.headers).encode() + body)


def tap_pages(patch: pytest.MonkeyPatch, outputs: Outputs, pages: Pages) -> None:
    """Take in each answer of a management port in this process, and ask that of each daemon for more."""
    build, open_port = management.build_application, app._management_port

    @web.middleware
    async def note(request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> Any:  # noqa: ANN401
        answer = await handler(request)
        if isinstance(answer, web.Response):
            body = answer.body if isinstance(answer.body, bytes) else b""
            outputs.add("pages", str(answer.headers).encode() + body)
        return answer

    def build_noting(routes: Any) -> web.Application:  # noqa: ANN401 - as aiohttp has it
        application = build(routes)
        application.middlewares.append(note)
        return application

    @contextlib.asynccontextmanager
    async def open_watched(settings: Any, *args: Any) -> AsyncIterator[int]:  # noqa: ANN401
        async with open_port(settings, *args) as port:
            task = pages.watch(port)
            try:
                yield port
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
                    await pages.ask(port)

    patch.setattr(management, "build_application", build_noting)
    patch.setattr(app, "_management_port", open_watched)


def tap_processes(patch: pytest.MonkeyPatch, outputs: Outputs, pages: Pages) -> None:
    """Take in what every process writes that a test starts, also where the test lets it go to nowhere."""
    protocol = asyncio.subprocess.SubprocessStreamProtocol
    receive, start, communicate = (
        protocol.pipe_data_received,
        asyncio.create_subprocess_exec,
        subprocess.Popen.communicate,
    )

    def note(self: Any, fd: int, data: bytes) -> None:  # noqa: ANN401 - as asyncio has it
        outputs.add("processes", data, (id(self), fd))
        started = _STARTED.search(data)
        if started is not None and b"bridge.started" in data:
            pages.watch(int(started[1]))
        receive(self, fd, data)

    async def start_noting(*command: Any, **named: Any) -> Any:  # noqa: ANN401
        unread = {name for name in ("stdout", "stderr") if named.get(name) is asyncio.subprocess.DEVNULL}
        process = await start(*command, **{**named, **dict.fromkeys(unread, asyncio.subprocess.PIPE)})
        for name in unread:
            reading = asyncio.get_running_loop().create_task(_discard(getattr(process, name)), name="canary pipe")
            process._canary_reading = [*getattr(process, "_canary_reading", []), reading]  # type: ignore[attr-defined]
            setattr(process, name, None)
        return process

    def note_run(self: Any, *args: Any, **named: Any) -> Any:  # noqa: ANN401
        taken = communicate(self, *args, **named)
        for part in taken:
            outputs.add("processes", part or b"")
        return taken

    patch.setattr(protocol, "pipe_data_received", note)
    patch.setattr(asyncio, "create_subprocess_exec", start_noting)
    patch.setattr(subprocess.Popen, "communicate", note_run)


async def _discard(stream: asyncio.StreamReader) -> None:
    while await stream.read(64 * 1024):
        pass


def tap_topics(patch: pytest.MonkeyPatch, outputs: Outputs, failures: list[str]) -> None:
    """Read every topic of each broker before it ends; `failures` gets why one could not be read."""
    for kind in (EmbeddedBroker, ContainerBroker):
        patch.setattr(kind, "close", _read_first(kind.close, outputs, failures))


def _read_first(close: Any, outputs: Outputs, failures: list[str]) -> Any:  # noqa: ANN401 - a method of a broker
    @wraps(close)
    async def read_and_close(broker: Any) -> None:  # noqa: ANN401
        try:
            async with asyncio.timeout(_TOPICS_DEADLINE_S):
                await _read_topics(broker.bootstrap_servers, outputs)
        except (KafkaError, OSError) as error:  # a broker that a test has killed answers nobody; TimeoutError too
            failures.append(f"{outputs.test}: {type(error).__name__}")
        finally:
            await close(broker)

    return read_and_close


async def _read_topics(bootstrap: str, outputs: Outputs) -> None:
    """Read all but the topics of commands: callers write those, and tests batches that no client can decode."""
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest") as consumer:
        cluster = await consumer._client.fetch_all_metadata()
        topics = [name for name in cluster.topics() if not name.startswith("__") and not name.endswith(".commands")]
        for one in [TopicPartition(name, number) for name in topics for number in cluster.partitions_for_topic(name)]:
            await _read_partition(consumer, one, outputs)


async def _read_partition(consumer: AIOKafkaConsumer, partition: TopicPartition, outputs: Outputs) -> None:
    consumer.assign([partition])
    end = (await consumer.end_offsets([partition]))[partition]
    while await consumer.position(partition) < end:
        for record in (await consumer.getmany(timeout_ms=500)).get(partition, []):
            said = (record.key or b"", record.value or b"", repr(record.headers).encode())
            outputs.add("topics", b"\n".join(said))
