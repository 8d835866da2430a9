"""Connecting with the cluster: the options of every client, and the likely cause where no broker answers."""

import asyncio
import logging
import ssl
from collections.abc import Awaitable
from typing import Any, Final, TypeVar

from aiokafka import AIOKafkaConsumer
from aiokafka.conn import collect_hosts
from aiokafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from bridge.config import Kafka, Timing
from bridge.config.files import UnusableFile
from bridge.errors import ClusterUnreachable, ConfigError, KafkaTrouble, TopicsUnfit
from bridge.kafka.aiokafka_internals import create_no_topics
from bridge.kafka.connections import create_connection, install_connection_factory
from bridge.kafka.credentials import LoginHeldBack
from bridge.kafka.member_metadata import read_whole_metadata

CLIENT_ID: Final = "ltp-bridge"
PROBE_TIMEOUT_MS: Final = 3000
FETCH_WAIT_MS: Final = 50
"""How long a broker holds a fetch of commands without a record. A fetch from where we no longer want to read holds up
the next for so long, and a takeover seeks twice."""

NO_ANSWER: Final = (KafkaError, TimeoutError, OSError)
"""What a request raises that the brokers did not answer, or answered with an error."""

_BEYOND_REBALANCE_S: Final = 4.0
_ASK_TIMEOUT_S: Final = 10.0
_REPEAT_S: Final = 10.0
_C_EXTENSION_MODULE: Final = "aiokafka.record._crecords.default_records"

_Answer = TypeVar("_Answer")


class _HiddenText(str):
    """A secret that the client can use as text, and that is printed as stars."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'**********'"

    def __str__(self) -> str:
        return "**********"

    def __format__(self, format_spec: str) -> str:
        return format(str(self), format_spec)


def client_options(kafka: Kafka) -> dict[str, Any]:
    """Return what every client of the cluster is constructed with; secrets are read from their files each time.

    Raises ConfigError when the TLS files or the password's file cannot be used.
    """
    throttle_client_logs()
    install_connection_factory()
    create_no_topics()
    options: dict[str, Any] = {
        "bootstrap_servers": kafka.bootstrap_servers,
        "client_id": CLIENT_ID,
        "security_protocol": kafka.security_protocol,
    }
    if kafka.security_protocol.endswith("SSL"):
        options["ssl_context"] = _make_ssl_context(kafka)
    if kafka.security_protocol.startswith("SASL"):
        options["sasl_mechanism"] = kafka.sasl_mechanism or "SCRAM-SHA-512"
        options["sasl_plain_username"] = kafka.sasl_username
        options["sasl_plain_password"] = _HiddenText(_read_password(kafka))
    return options


def member_options(kafka: Kafka, timing: Timing) -> dict[str, Any]:
    """Return what the consumer in the group of an account is constructed with."""
    read_whole_metadata()
    return {
        **client_options(kafka),
        "enable_auto_commit": False,
        "auto_offset_reset": "none",
        "session_timeout_ms": int(timing.session_timeout_s * 1000),
        "heartbeat_interval_ms": int(timing.heartbeat_s * 1000),
        "rebalance_timeout_ms": int(timing.rebalance_timeout_s * 1000),
        # The broker holds a JoinGroup for as long as the rebalance takes.
        "request_timeout_ms": int((timing.rebalance_timeout_s + _BEYOND_REBALANCE_S) * 1000),
        "max_poll_interval_ms": 60_000,
        "metadata_max_age_ms": 60_000,
        "fetch_max_wait_ms": FETCH_WAIT_MS,
        # With read_committed, an open transaction of any caller would hold up every command.
        "isolation_level": "read_uncommitted",
    }


def _make_ssl_context(kafka: Kafka) -> ssl.SSLContext:
    try:
        return kafka.tls_context()
    except ValueError as error:
        raise ConfigError([f"kafka: {error}"]) from None


def _read_password(kafka: Kafka) -> str:
    try:
        password = kafka.sasl_password
    except UnusableFile as error:
        raise ConfigError([f"kafka.sasl_password_file: {error}"]) from None
    return "" if password is None else password.get_secret_value()


class _RepeatFilter(logging.Filter):
    """Passes the same warning once in 10 s: while brokers are away, the client repeats it 10 times a second."""

    def __init__(self) -> None:
        super().__init__()
        self._passed_unix_s: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        key = (record.name, str(record.msg))
        if record.levelno < logging.WARNING:
            return True
        if record.created - self._passed_unix_s.get(key, 0.0) < _REPEAT_S:
            return False
        self._passed_unix_s[key] = record.created
        return True


_repeat_filter = _RepeatFilter()


def throttle_client_logs() -> None:
    """Keep aiokafka's loggers at INFO or above, and from repeating a warning within 10 s.

    At DEBUG they write passwords, keys and values.
    """
    names = ["aiokafka", *(name for name in logging.root.manager.loggerDict if name.startswith("aiokafka."))]
    for name in names:
        logger = logging.getLogger(name)
        logger.addFilter(_repeat_filter)  # on each: a logger's filter does not see its children's records
        if logger.getEffectiveLevel() < logging.INFO:
            logger.setLevel(logging.INFO)


def require_c_extension() -> None:
    """Raise KafkaTrouble when aiokafka works without its C extension: it is five times slower, without a warning."""
    if DefaultRecordBatchBuilder.__module__ != _C_EXTENSION_MODULE:
        raise KafkaTrouble(
            "aiokafka runs without its C extension, too slowly for a burst of fills; unset AIOKAFKA_NO_EXTENSIONS, "
            "or install aiokafka from a wheel that was built for this platform"
        )


async def find_likely_cause(kafka: Kafka) -> str:
    """Connect once to each bootstrap server. Return in words why none answers, and what to check."""
    causes = [
        f"{host}:{port}: {await _describe_connection_problem(kafka, host, port)}"
        for host, port, _ in collect_hosts(kafka.bootstrap_servers)
    ]
    return "; ".join(causes)


async def _describe_connection_problem(kafka: Kafka, host: str, port: int) -> str:
    try:
        options = client_options(kafka)
    except ConfigError as error:
        return "; ".join(error.problems)
    del options["bootstrap_servers"]
    try:
        connection = await create_connection(host, port, request_timeout_ms=PROBE_TIMEOUT_MS, **options)
    except (OSError, KafkaError) as error:
        return _diagnose_error(kafka, error)
    connection.close()
    await asyncio.sleep(0)
    return "it answers now"


def _diagnose_error(kafka: Kafka, error: OSError | KafkaError) -> str:
    listener = f"security_protocol is {kafka.security_protocol}, check what the listener speaks"
    diagnoses: tuple[tuple[type[Exception], str], ...] = (
        (LoginHeldBack, str(error)),
        (ssl.SSLCertVerificationError, f"its certificate is not trusted ({error}); check ssl_ca_file, the host's name"),
        (ssl.SSLError, f"no TLS there; {listener}"),
        (TimeoutError, f"no answer; check the address and the network policy; {listener}"),
        (ConnectionResetError, f"it hung up; {listener}"),
        (OSError, f"{error}; check kafka.bootstrap_servers and that the broker runs"),
        (KafkaError, f"it refused ({type(error).__name__}); check sasl_username, password and mechanism; {listener}"),
    )
    return next(text for kind, text in diagnoses if isinstance(error, kind))


async def require_topic(consumer: AIOKafkaConsumer, topic: str) -> None:
    """Raise TopicsUnfit without the topic: a group of a topic that does not exist would form, and wait for ever."""
    if topic not in await consumer.topics():
        raise TopicsUnfit([f"{topic} does not exist, or is refused to this principal; create it, or grant Read"])


def require_one_partition(consumer: AIOKafkaConsumer, topic: str) -> None:
    """Raise TopicsUnfit when the topic is known to have more than one partition."""
    partitions = consumer.partitions_for_topic(topic)
    if partitions is not None and partitions != {0}:
        raise TopicsUnfit([f"{topic} has {len(partitions)} partitions; it needs exactly one"])


async def await_answer(question: Awaitable[_Answer], about: str) -> _Answer:
    """Return a client's answer within 10 s. Raises ClusterUnreachable, and KafkaTrouble for an error of the broker."""
    try:
        async with asyncio.timeout(_ASK_TIMEOUT_S):
            return await question
    except (TimeoutError, KafkaTimeoutError, KafkaConnectionError) as error:
        raise ClusterUnreachable(f"no answer about {about}: {error!r}") from error
    except KafkaError as error:
        raise KafkaTrouble(f"{about}: {error!r}") from error
