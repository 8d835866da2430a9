"""`ltp-bridge tail` beside a real daemon, as an operator runs it."""

import asyncio
import json
import signal
from asyncio.subprocess import PIPE
from pathlib import Path

from bridge.contract.topics import Stream
from tests.support.inspecting import Inspection
from tests.support.rig import PLACE, Rig, command
from tests.witness.child_process import start_module


async def test_it_follows_until_it_is_interrupted(rig: Rig, tmp_path: Path) -> None:
    """History first, then each record as it comes; Ctrl-C is its ordinary end."""
    async with rig.daemon():
        results = await rig.topic(Stream.RESULTS)
        before = command("place_order", PLACE)
        await rig.send(before)
        await results.result(before)
        config = str(Inspection(tmp_path, rig.bootstrap, rig.prefix).config)
        process = await start_module("bridge", "tail", "--config", config, "commands", "results", "orders", stderr=PIPE)
        assert process.stdout is not None
        lines: list[str] = []

        async def read_until(text: str) -> None:
            assert process.stdout is not None
            while not any(text in line for line in lines):
                lines.append((await process.stdout.readline()).decode())
                assert lines[-1], "it has ended"

        async with asyncio.timeout(60):
            await read_until(
                f"accepted place_order, code 200000, Success, order {(await results.result(before))['orderId']}"
            )
            after = command("place_order", PLACE)
            await rig.send(after)
            await read_until(f"LIMIT GTC, command {after['commandId']}")
            order_id = (await results.result(after))["orderId"]
            await read_until(f"OPEN BUY 0.003 {PLACE['sym']} @ 20000, order {order_id} client")
            process.send_signal(signal.SIGINT)
            rest, err = await process.communicate()
    assert (process.returncode, err) == (0, b"")
    told = [line[:26] for line in [*lines, *rest.decode().splitlines()]]
    assert all(line[23] == "Z" for line in told)
    assert "takeover: epoch 1 begins" in "".join(lines)


async def test_filters_and_json_show_what_was_asked_for(rig: Rig, tmp_path: Path) -> None:
    """By order, by command and by symbol; each object has topic, offset, key, headers, value and flags."""
    first, second = command("place_order", PLACE), command("place_order", PLACE)
    async with rig.daemon():
        results, orders = await rig.topic(Stream.RESULTS), await rig.topic(Stream.ORDERS)
        await rig.send(first, second, b"\xff\x1b[2J")
        order_id = (await results.result(first))["orderId"]
        await results.result(second)
        await orders.until(lambda seen: len(seen) >= 4)
    inspection = Inspection(tmp_path, rig.bootstrap, rig.prefix)
    of_order = [json.loads(line) for line in await inspection.tail("--order", order_id, "--json")]
    assert {one["topic"].rpartition(".")[2] for one in of_order} == {"results", "orders"}
    assert {one["value"]["orderId"] for one in of_order} == {order_id}
    assert {"offset", "timestamp", "key", "headers", "void", "recovered", "repeated"} <= of_order[0].keys()
    assert of_order[0]["headers"]["ce_epoch"] == "1"
    of_command = await inspection.tail("--command", second["commandId"])
    assert [line.split("  ")[1].partition("@")[0] for line in of_command] == ["commands", "results"]
    assert len(await inspection.tail("orders", "--symbol", PLACE["sym"])) == len(orders.records)
    assert await inspection.tail("orders", "--symbol", "OKX_PERP_ETH_USDT") == []
    (dead,) = await inspection.tail("dead-letters")
    assert "not_json commands@2" in dead
    assert "\\xff\\x1b[2J" in dead


async def test_a_reader_that_leaves_is_no_error(rig: Rig, tmp_path: Path) -> None:
    """As with `| head -1`."""
    async with rig.daemon():
        session = await rig.topic(Stream.SESSION)
        await session.until(lambda seen: any(one["type"] == "recovery.complete" for one in seen))
        config = str(Inspection(tmp_path, rig.bootstrap, rig.prefix).config)
        process = await start_module("bridge", "tail", "--config", config, "session", "--json", stderr=PIPE)
        assert process.stdout is not None
        assert b"owner.acquired" in await process.stdout.readline()
        process._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined]
        await rig.send(command("cancel_orders", {"exchangeType": "ALL"}))
        rig.venue.cut_connections()
        async with asyncio.timeout(60):
            assert await process.wait() == 0
        assert process.stderr is not None
        assert await process.stderr.read() == b""


async def test_several_accounts_must_be_named(two_accounts: Rig, tmp_path: Path) -> None:
    """The exit code is 2; with the name it shows the topics of that account."""
    rig = two_accounts
    async with rig.daemon(rig.settings(accounts=["main", "second"])):
        session = await rig.topic(Stream.SESSION, "second")
        await session.until(lambda seen: any(one["type"] == "recovery.complete" for one in seen))
    inspection = Inspection(tmp_path, rig.bootstrap, rig.prefix, "main", "second")
    code, _, err = await inspection.run("tail", "session")
    assert code == 2
    assert "name the account with --account: the settings have several (main, second)" in err
    lines = await inspection.tail("session", "--json", "--account", "second")
    assert {json.loads(line)["topic"] for line in lines} == {f"{rig.prefix}.second.session"}
