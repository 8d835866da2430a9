"""What somebody does in a second terminal while the demo runs, and what a first start shows."""

import asyncio
import fcntl
import json
import os
import pty
import re
import signal
import struct
import sys
import termios
import uuid
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Mapping
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from tests.support.demo_run import DemoRun, start_run

_DEADLINE_S = 60.0
_MARKET = {"sym": "BINANCE_PERP_BTC_USDT", "side": "BUY", "orderType": "MARKET", "orderQty": "0.003"}
_PLACE = _MARKET | {"orderType": "LIMIT", "limitPrice": "20000"}
_RED = re.compile(r"\x1b\[(?:\d+;)*(?:31|41|91|101)(?:;\d+)*m")


async def _run_both_commands(run: DemoRun) -> None:
    """Copy both commands that were printed into a shell; the first shows a line, the second an accepted order."""
    lines = await run.read_lines("desk.py")
    tail, desk = (line.strip() for line in lines[-2:])
    placing = await asyncio.create_subprocess_shell(
        desk, stdout=PIPE, stderr=DEVNULL, env={**os.environ, "LTP_SECONDS": "0"}
    )
    told, _ = await asyncio.wait_for(placing.communicate(), _DEADLINE_S)
    assert placing.returncode == 0
    assert told.decode().splitlines()[:2] == ["place_order  accepted", "cancel_order  accepted"]
    following = await asyncio.create_subprocess_shell(f"exec {tail}", stdout=PIPE, stderr=DEVNULL)
    assert following.stdout is not None
    try:
        shown = await asyncio.wait_for(following.stdout.readline(), _DEADLINE_S)
    finally:
        following.kill()
        await following.wait()
    assert re.search(" (orders|trades)@", shown.decode())


async def test_the_printed_commands_work_beside_the_demo(tmp_path: Path, bootstrap: str) -> None:
    """Copied as they are, they follow a topic and place an order; and the verdict stays."""
    async with start_run(tmp_path, "--json", bootstrap=bootstrap) as run:
        await _run_both_commands(run)
        run.process.send_signal(signal.SIGINT)
        code, made = await run.result()
    assert (0, []) == (code, made["wrong"])
    assert made["other_commands"] == 2


async def test_the_printed_commands_work_beside_the_sandbox(tmp_path: Path, bootstrap: str) -> None:
    """With several accounts the commands name the first one."""
    ports = ("--ws-port", "0", "--rest-port", "0", "--management-port", "0")
    accounts = ("--account", "one", "--account", "two")
    async with start_run(tmp_path, "--broker", *ports, *accounts, bootstrap=bootstrap, name="sandbox") as run:
        await _run_both_commands(run)
        run.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(run.process.wait(), _DEADLINE_S) == 0


def _write(args: Mapping[str, object], action: str = "place_order", command_id: str = "") -> bytes:
    return json.dumps({"commandId": command_id or str(uuid.uuid4()), "action": action, "args": args}).encode()


async def _read_values(bootstrap: str, topic: str, at_least: int) -> list[bytes]:
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest") as consumer:
        consumer.assign([TopicPartition(topic, 0)])
        async with asyncio.timeout(_DEADLINE_S):
            return [(await consumer.getone()).value for _ in range(at_least)]


async def test_other_callers_do_not_spoil_the_verdict(tmp_path: Path, bootstrap: str) -> None:
    """Orders, repeated commands (also the desk's own), cancels, junk and transactions of others are theirs alone."""
    async with start_run(tmp_path, "--json", "--rate", "20", bootstrap=bootstrap) as run:
        lines = await run.read_lines("broker ")
        prefix = lines[-1].split("topics ")[1].removesuffix(".*")
        topic = f"{prefix}.commands"
        desk_commands = await _read_values(bootstrap, topic, 5)
        desk_order = json.loads((await _read_values(bootstrap, f"{prefix}.orders", 1))[0])["orderId"]
        repeated, name = _write(_PLACE), str(uuid.uuid4())
        commands = [
            *(repeated, repeated, repeated),
            *(_write(_PLACE, command_id=name), _write({**_PLACE, "orderQty": "0.004"}, command_id=name)),
            *(_write({**_PLACE, "orderQty": 1.5}, command_id=f"invalid-{name}"),) * 2,
            *(desk_commands * 2),
            _write({"orderId": desk_order}, "cancel_order"),
            _write({"exchangeType": "ALL"}, "cancel_orders"),
            *(
                b"",
                b"junk",
                b"\xff\x00",
                b'{"commandId":"\xff"}',
                b"[" * 50_000,
                b'{"commandId":[]}',
                b'{"commandId":"\\u001b[31m"}',
            ),
        ]
        async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
            for command in commands:
                await producer.send_and_wait(topic, command, key=b"\xff")
            for stream in ("results", "orders", "session", "dead-letters"):
                await producer.send_and_wait(f"{prefix}.{stream}", b"junk", key=b"k")
        transactional = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=f"guest-{name}")
        async with transactional as producer, producer.transaction():
            await producer.send_and_wait(topic, _write(_PLACE))
        run.process.send_signal(signal.SIGINT)
        code, made = await run.result()
    assert (0, []) == (code, made["wrong"])
    assert made["other_commands"] == len(commands) + 1


async def test_a_caller_who_goes_on_after_the_end_does_not_spoil_the_verdict(tmp_path: Path, bootstrap: str) -> None:
    """The topics are held to what the venue had done when the run ended."""
    async with start_run(tmp_path, "--json", bootstrap=bootstrap) as run:
        prefix = (await run.read_lines("broker "))[-1].split("topics ")[1].removesuffix(".*")

        async def go_on(producer: AIOKafkaProducer) -> None:
            while True:
                await producer.send_and_wait(f"{prefix}.commands", _write(_MARKET))

        async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
            trading = asyncio.create_task(go_on(producer))
            await run.read_lines("so far")
            run.process.send_signal(signal.SIGINT)
            await run.read_lines("taking everything down")
            trading.cancel()
            await asyncio.wait({trading})
        code, made = await run.result()
    assert (0, []) == (code, made["wrong"])
    assert made["other_commands"] > 0


async def _show_on_terminal(*command: str, environ: Mapping[str, str]) -> str:
    """Run a command on a terminal of 80 columns; return all that it has written."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = await asyncio.create_subprocess_exec(*command, stdin=slave, stdout=slave, stderr=slave, env=environ)
    os.close(slave)
    written: list[bytes] = []

    def read_all() -> None:
        while True:
            try:
                written.append(os.read(master, 65536))
            except OSError:  # the end of the process is an error of its terminal
                return

    async with asyncio.timeout(_DEADLINE_S):
        await asyncio.to_thread(read_all)
        assert await process.wait() == 0
    os.close(master)
    return b"".join(written).decode()


async def test_a_healthy_first_start_shows_nothing_red(tmp_path: Path, bootstrap: str) -> None:
    """On a terminal: addresses, rates, budgets and the verdict are there, and nothing looks like an error."""
    environ = {**os.environ, "TMPDIR": str(tmp_path), "KAFKA_BOOTSTRAP_SERVERS": bootstrap, "TERM": "xterm-256color"}
    command = (sys.executable, "-m", "bridge", "demo", "--seconds", "4")
    shown = await _show_on_terminal(*command, environ=environ)
    live = shown.partition("\x1b[?1049h")[2].partition("\x1b[?1049l")[0]
    for expected in (f"broker {bootstrap}", "status page http://127.0.0.1:", "desk.py", "lost 0, duplicated 0 so far"):
        assert expected in live
    assert re.search(r"\d/s .*median", live)
    assert re.search(r"place [1-9]\d*/\d+", live)
    assert [shown[match.start() : match.start() + 200] for match in _RED.finditer(shown)] == []
    assert not re.search("error|warn|traceback", shown, re.IGNORECASE)
