"""The launcher of a real broker: it starts, restarts after interruptions, and leaves nothing behind."""

import asyncio
import json
import signal
import sys
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from bridge.sandbox.broker.cluster import wait_until_answers
from bridge.sandbox.broker.launcher import Broker, BrokerError, start_broker
from tests.witness.waiting import until

_DEADLINE_S = 60.0


async def _write(bootstrap: str, topic: str, value: bytes) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)
    try:
        await admin.start()
        await admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
        await producer.start()
        await producer.send_and_wait(topic, value)
    finally:
        await producer.stop()
        await admin.close()


async def _read_one(bootstrap: str, topic: str) -> bytes:
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        async with asyncio.timeout(_DEADLINE_S):
            value = (await consumer.getone()).value
    finally:
        await consumer.stop()
    assert value is not None
    return bytes(value)


async def test_records_are_kept(bootstrap: str) -> None:
    """A record that was written to the broker of the test run can be read back."""
    await _write(bootstrap, "broker-test", b"a record")
    assert await _read_one(bootstrap, "broker-test") == b"a record"


async def test_killed_broker_comes_back_with_its_records(own_broker: Broker) -> None:
    """A killed broker does not answer; after a restart it has its address and its records."""
    address = own_broker.bootstrap_servers
    await _write(address, "outage", b"from before")
    await own_broker.kill()
    with pytest.raises(BrokerError):
        await wait_until_answers(address, deadline_s=0.3)
    await own_broker.restart()
    assert await _read_one(own_broker.bootstrap_servers, "outage") == b"from before"
    assert own_broker.bootstrap_servers == address


async def test_frozen_broker_is_silent_until_resumed(own_broker: Broker) -> None:
    """A frozen broker accepts connections and does not answer; after it is resumed, it answers."""
    await own_broker.pause()
    with pytest.raises(BrokerError):
        await wait_until_answers(own_broker.bootstrap_servers, deadline_s=0.5)
    await own_broker.resume()
    await wait_until_answers(own_broker.bootstrap_servers, deadline_s=_DEADLINE_S)


_OWNER = """
import asyncio, json, signal
from bridge.sandbox.broker.cluster import find_free_ports
from bridge.sandbox.broker.embedded import EmbeddedBroker

# A job that a shell has put in the background ignores it, and so do its children.
signal.signal(signal.SIGINT, signal.default_int_handler)

async def own():
    (port,) = find_free_ports(1)
    broker = await EmbeddedBroker.start(lambda text: None, port)
    assert broker.bootstrap_servers == f"127.0.0.1:{port}"
    try:
        print(json.dumps({"folder": str(broker.folder), "pid": broker.pid}), flush=True)
        await asyncio.Event().wait()
    finally:
        await broker.close()

asyncio.run(own())
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
async def test_nothing_stays_when_the_owner_ends(number: signal.Signals) -> None:
    """A broker's Java process and folder are removed when its owner ends, by any signal."""
    owner = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _OWNER),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert owner.stdout is not None
    started = json.loads(await owner.stdout.readline())
    remains = [Path(started["folder"]), Path("/proc") / str(started["pid"])]
    assert all(map(Path.exists, remains))
    owner.send_signal(number)
    await asyncio.wait_for(owner.wait(), _DEADLINE_S)
    await until(lambda: not any(map(Path.exists, remains)))


async def test_given_broker_that_does_not_answer_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A given broker that does not answer is an error that names the variable; no other broker is started."""
    monkeypatch.setattr("bridge.sandbox.broker.launcher._GIVEN_DEADLINE_S", 0.3)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    with pytest.raises(BrokerError, match=r"KAFKA_BOOTSTRAP_SERVERS is set, but no answer from 127\.0\.0\.1:1"):
        async with start_broker():
            pass


async def test_given_broker_is_used_and_not_interrupted(bootstrap: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A given broker is used, still runs after the block, and cannot be interrupted."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", bootstrap)
    async with start_broker() as given:
        assert (given.kind, given.bootstrap_servers) == ("given", bootstrap)
        with pytest.raises(BrokerError, match="only one that was started here"):
            await given.kill()
    await wait_until_answers(bootstrap, deadline_s=_DEADLINE_S)


async def test_a_port_that_is_taken_is_named(bootstrap: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that is in use is an error with its number, before anything is started."""
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    port = int(bootstrap.rpartition(":")[2])
    with pytest.raises(BrokerError, match=f"cannot listen on port {port} of 127"):
        async with start_broker(port=port):
            pass


async def test_without_any_broker_the_error_says_what_was_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """When no broker can be started, the error has each try with its reason, and ends with what to do."""
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    monkeypatch.setenv("DOCKER_HOST", "unix:///dev/null/docker.sock")
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/cache")
    with pytest.raises(BrokerError) as raised:
        async with start_broker():
            pass
    lines = str(raised.value).splitlines()
    assert lines[1].startswith("  - container: no Docker engine answers")
    assert lines[2].startswith("  - embedded: the cache /dev/null/cache/ltp-bridge/kafka-4.3.1 cannot be written")
    assert lines[-1].startswith("What to do: set KAFKA_BOOTSTRAP_SERVERS")
