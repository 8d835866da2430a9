"""Measure the files on the way of an order push, of a place and of its ack through a real daemon.

A broker and the sandbox venue run here; the daemon of the tree runs as a process of its own, whose calls
`message_calls.py` records, and is met through what its users know: command line, settings, topics, management port.
The messages go one after the other, each when the one before has arrived. What is on the way of at least half of them
counts, so that what happens once by chance does not.

- `push`: an order push, from aiohttp's `receive` to aiokafka's batch;
- `place`: from the first sight of the fetched record to aiohttp's write;
- `ack`: from aiohttp's `receive` of the place's ack to aiokafka's batch with the result. The pushes of the order are
  muted at the venue, because they have its names as well.
"""

import asyncio
import contextlib
import json
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Self

from aiohttp import ClientError, ClientSession
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from msgspec import Struct

from bridge.sandbox.broker.launcher import start_broker
from bridge.sandbox.venue.faults import Fault, FaultKind
from bridge.sandbox.venue.venue import Venue
from tests.house.message_calls import FIRST_OFFSET, place_number, push_number

WAYS: Final = ("push", "place", "ack")
"""As `message_calls.py` names them."""
_MESSAGES: Final = 12
_DEADLINE_S: Final = 120.0
_PREFIX: Final = "report"
_CHILD: Final = Path(__file__).with_name("message_calls.py")
_SYM: Final = "BINANCE_PERP_BTC_USDT"


class Way(Struct, frozen=True):
    """The functions on a way, by file: those that handle the message, and those that help; each file once."""

    handling: dict[str, list[str]]
    helping: dict[str, list[str]]
    """Of files in which nothing handles the message."""

    @property
    def functions(self) -> int:
        """How many functions handle the message."""
        return sum(len(functions) for functions in self.handling.values())


def summarize(traces: list[dict[str, Any]]) -> dict[str, Way]:
    """Return each way from what was recorded of every message on it."""
    ways = {}
    for way in WAYS:
        of_way = [trace["calls"] for trace in traces if trace["way"] == way]
        seen = Counter((file, function) for calls in of_way for file, function, _ in calls)
        handled = Counter((file, function) for calls in of_way for file, function, how in calls if how == "handles")
        usual = sorted(where for where, times in seen.items() if 2 * times >= len(of_way))
        handling: dict[str, list[str]] = {}
        helping: dict[str, list[str]] = {}
        for file, function in usual:
            if 2 * handled[file, function] >= len(of_way):
                handling.setdefault(file, []).append(function)
        for file, function in usual:
            if file not in handling:
                helping.setdefault(file, []).append(function)
        ways[way] = Way(handling, helping)
    return ways


async def measure_ways(tree: Path) -> dict[str, Way]:
    """Return the ways through the daemon of a tree. Raises AssertionError where the daemon does not play along."""
    with tempfile.TemporaryDirectory(prefix="ways-") as scratch:
        out = Path(scratch) / "calls.json"
        async with start_broker() as broker, Venue() as venue, _Clients(broker.bootstrap_servers) as clients:
            config, port = _write_config(Path(scratch), broker.bootstrap_servers, venue)
            arguments = (str(_CHILD), str(tree), str(out), "run", "--config", str(config))
            daemon = await asyncio.create_subprocess_exec(*(sys.executable, *arguments), cwd=tree, stdout=sys.stderr)
            try:
                await _until_ready(port, daemon)
                await _send_messages(venue, clients)
                daemon.terminate()
                await asyncio.wait_for(daemon.wait(), _DEADLINE_S)
            finally:
                if daemon.returncode is None:
                    daemon.kill()
                    await daemon.wait()
        return summarize(json.loads(out.read_text(encoding="utf-8")))


class _Clients:
    """A producer of commands, and a reader of what the daemon publishes."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers)
        self._consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers, auto_offset_reset="earliest")
        self._reading: asyncio.Task[None] | None = None
        self.arrived = Counter[str]()
        self.keys = set[str]()

    async def __aenter__(self) -> Self:
        await self._producer.start()
        await self._consumer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        await self._consumer.stop()
        await self._producer.stop()

    def read(self, *streams: str) -> None:
        """Begin to read topics, which exist by now."""
        self._consumer.subscribe([f"{_PREFIX}.main.{stream}" for stream in streams])
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for record in self._consumer:
            self.arrived[record.topic.rpartition(".")[2]] += 1
            self.keys.add((record.key or b"").decode())

    async def send(self, key: str, value: bytes) -> int:
        """Append a command; return its offset."""
        sent = await self._producer.send_and_wait(f"{_PREFIX}.main.commands", key=key.encode(), value=value)
        return int(sent.offset)


async def _send_messages(venue: Venue, clients: _Clients) -> None:
    clients.read("orders", "results", "dead-letters")
    await asyncio.gather(*(clients.send("k", b"no JSON") for _ in range(FIRST_OFFSET)))
    await _until(lambda: clients.arrived["dead-letters"] == FIRST_OFFSET, "answers to what is no JSON")
    for index in range(_MESSAGES):
        order_id = push_number(index)
        venue.inject.push("main", "Orders", _order_row(venue, order_id), key=order_id)
        await _until(lambda wanted=order_id: wanted in clients.keys, "a push on its topic")  # type: ignore[misc]
    venue.faults.add(Fault(kind=FaultKind.MUTE_PUSH, times=None))
    for index in range(_MESSAGES):
        command_id = place_number(index)
        offset = await clients.send(command_id, _place(command_id))
        if offset != FIRST_OFFSET + index:
            raise AssertionError(f"the place stands at {offset}; does somebody else write to the topic?")
        await _until(lambda wanted=command_id: wanted in clients.keys, "a result")  # type: ignore[misc]


def _order_row(venue: Venue, order_id: str) -> dict[str, object]:
    now_ms = str(time.time_ns() // 1_000_000)
    described = {"sym": _SYM, "exchangeType": "BINANCE", "businessType": "PERP", "side": "BUY", "orderType": "LIMIT"}
    amounts = {"timeInForce": "GTC", "orderQty": "0.003", "limitPrice": "20000", "executedQty": "0"}
    stands = {"orderState": "OPEN", "createAt": now_ms, "updateAt": now_ms}
    names = {"portfolioId": venue.keys["main"].portfolio_id, "orderId": order_id, "clientOrderId": f"c{order_id}"}
    return {**names, **described, **amounts, **stands}


def _place(command_id: str) -> bytes:
    order = {"sym": _SYM, "side": "BUY", "orderType": "LIMIT", "orderQty": "0.003", "limitPrice": "20000"}
    args = {**order, "timeInForce": "GTC", "clientOrderId": command_id}
    return json.dumps({"commandId": command_id, "action": "place_order", "args": args}).encode()


def _write_config(folder: Path, bootstrap_servers: str, venue: Venue) -> tuple[Path, int]:
    """Write the settings of the daemon; return their file and the management port."""
    key = venue.keys["main"]
    for name, content in (("key", key.api_key), ("secret", key.api_secret)):
        (folder / name).write_text(content, encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    config = folder / "bridge.toml"
    config.write_text(
        f"""environment = "sandbox"
endpoints = [{{name = "SANDBOX", ws_url = "{venue.ws_url}", rest_url = "{venue.rest_url}"}}]
accounts.main = {{api_key_file = "{folder}/key", api_secret_file = "{folder}/secret"}}
management.port = {port}
log.level = "error"

[kafka]
bootstrap_servers = "{bootstrap_servers}"
topic_prefix = "{_PREFIX}"
create_topics = true
replication_factor = 1
min_insync_replicas = 1
""",
        encoding="utf-8",
    )
    return config, port


async def _until_ready(port: int, daemon: asyncio.subprocess.Process) -> None:
    async with ClientSession() as http:
        end = time.monotonic() + _DEADLINE_S
        while time.monotonic() < end and daemon.returncode is None:
            with contextlib.suppress(ClientError):
                async with http.get(f"http://127.0.0.1:{port}/readyz") as answer:
                    if answer.ok:
                        return
            await asyncio.sleep(0.1)
    raise AssertionError("the daemon did not become ready")


async def _until(holds: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + _DEADLINE_S
    while not holds():
        if time.monotonic() > end:
            raise AssertionError(f"no sign of {what} within {_DEADLINE_S:g} s")
        await asyncio.sleep(0.02)
