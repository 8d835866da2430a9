"""The Kafka cluster: the way to its brokers, whether they give access, their settings, and their clock."""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.conn import collect_hosts
from msgspec import structs

from bridge.config import Kafka, Settings
from bridge.core.now import Now
from bridge.doctor.clocks import judge_clock
from bridge.doctor.findings import Findings, Level
from bridge.doctor.network import Server, inspect_routes
from bridge.errors import KafkaTrouble
from bridge.kafka import aiokafka_internals
from bridge.kafka.broker_settings import (
    BrokerNode,
    find_broker_problems,
    find_broker_risks,
    is_before_kafka_4,
    list_brokers,
    read_broker_settings,
)
from bridge.kafka.cluster import NO_ANSWER, require_c_extension
from bridge.kafka.grants import command_that_grants
from bridge.kafka.preflight import reach_cluster
from bridge.kafka.quorum_clock import read_controller_clock

_ACCESS_DEADLINE_S: Final = 20.0
_FACTS_DEADLINE_S: Final = 30.0
_LOOK_AT_BROKERS: Final = "look at the brokers' logs, and try again"


@asynccontextmanager
async def reach_brokers(
    findings: Findings, settings: Settings, clock: Callable[[], Now]
) -> AsyncIterator[AIOKafkaAdminClient | None]:
    """Report the way to the bootstrap servers and the access; yield a client, None where there is no access."""
    kafka = settings.kafka
    bootstrap = sorted({(host, port) for host, port, _ in collect_hosts(kafka.bootstrap_servers, randomize=False)})
    servers = [_server(kafka, f"{host}:{port}", host, port) for host, port in bootstrap]
    routes = await inspect_routes(findings, servers, clock)
    is_reachable = any(route.is_free for route in routes)
    for route in routes:
        # One of several is enough for the start.
        for one in route.findings:
            findings.add(structs.replace(one, level=Level.NOTE) if is_reachable and one.level is Level.WRONG else one)
    admin = await _report_access(findings, kafka) if is_reachable else None
    if not is_reachable:
        found = "not tried: no bootstrap server can be reached"
        findings.add_note("kafka.access", kafka.bootstrap_servers, found, "repair the way to one of them first")
    try:
        yield admin
    finally:
        if admin is not None:
            await aiokafka_internals.close_admin(admin)


def _server(kafka: Kafka, subject: str, host: str, port: int) -> Server:
    return Server(
        area="kafka",
        subject=subject,
        host=host,
        port=port,
        make_tls=kafka.tls_context if kafka.security_protocol.endswith("SSL") else None,
        ca_setting="kafka.ssl_ca_file",
        renewer="who runs the brokers",
        address_setting="kafka.bootstrap_servers, or the broker's advertised.listeners",
    )


async def _report_access(findings: Findings, kafka: Kafka) -> AIOKafkaAdminClient | None:
    try:
        require_c_extension()
    except KafkaTrouble as error:
        findings.add_wrong("kafka.client", "aiokafka", str(error), "install it as the message says")
    user = kafka.sasl_username or "this client"
    remedy = (
        "check kafka.security_protocol, and with SASL kafka.sasl_mechanism, kafka.sasl_username and the content of "
        "kafka.sasl_password_file"
    )
    admin = await findings.await_check(
        reach_cluster(kafka), "kafka.access", kafka.bootstrap_servers, deadline_s=_ACCESS_DEADLINE_S, remedy=remedy
    )
    if admin is not None:
        found = f"the brokers give access to {user} by {kafka.security_protocol}"
        findings.add_ok("kafka.access", kafka.bootstrap_servers, found)
    return admin


async def check_brokers(
    findings: Findings, admin: AIOKafkaAdminClient, settings: Settings, clock: Callable[[], Now]
) -> None:
    """Report on every broker that the cluster names: the way to it, its version, its settings, and the clock."""
    brokers = await findings.await_check(
        _list_brokers(admin), "kafka.brokers", "cluster", deadline_s=_FACTS_DEADLINE_S, remedy=_LOOK_AT_BROKERS
    )
    if brokers is None:
        return
    named = ", ".join(f"{one.subject} at {one.host}:{one.port}" for one in brokers)
    findings.add_ok("kafka.brokers", "cluster", f"it names {named}")
    await _report_advertised(findings, settings.kafka, brokers, clock)
    _report_version(findings, admin)
    for broker in brokers:
        await findings.await_check(
            _report_settings(findings, admin, broker, settings),
            "kafka.brokers.settings",
            broker.subject,
            deadline_s=_FACTS_DEADLINE_S,
            remedy=_LOOK_AT_BROKERS,
        )
    await findings.await_check(
        _report_clock(findings, admin, settings, clock),
        "clock.kafka",
        "cluster",
        deadline_s=_FACTS_DEADLINE_S,
        remedy=_LOOK_AT_BROKERS,
    )


async def _list_brokers(admin: AIOKafkaAdminClient) -> list[BrokerNode]:
    try:
        return await list_brokers(admin)
    except NO_ANSWER as error:
        raise KafkaTrouble(f"the brokers could not be listed: {error!r}") from error


async def _report_advertised(
    findings: Findings, kafka: Kafka, brokers: Iterable[BrokerNode], clock: Callable[[], Now]
) -> None:
    """Report the way to the brokers by their own addresses: each may lead a topic or coordinate a group."""
    tried = {(host, port) for host, port, _ in collect_hosts(kafka.bootstrap_servers, randomize=False)}
    servers = [
        _server(kafka, f"{one.subject} {one.host}:{one.port}", one.host, one.port)
        for one in brokers
        if (one.host, one.port) not in tried
    ]
    for route in await inspect_routes(findings, servers, clock):
        findings.add(*route.findings)


def _report_version(findings: Findings, admin: AIOKafkaAdminClient) -> None:
    is_old = is_before_kafka_4(admin)
    if is_old:
        findings.add_wrong("kafka.version", "cluster", "a broker is older than Kafka 4.0", "update the brokers")
    elif is_old is not None:
        findings.add_ok("kafka.version", "cluster", "Kafka 4.0 or later, by the requests that it knows")


async def _report_settings(
    findings: Findings, admin: AIOKafkaAdminClient, broker: BrokerNode, settings: Settings
) -> None:
    kafka, timing = settings.kafka, settings.timing
    try:
        found = await read_broker_settings(admin, broker)
    except NO_ANSWER as error:
        raise KafkaTrouble(f"its settings could not be read: {error!r}") from error
    if not found:
        remedy = (
            f"the daemon needs no such grant; to have them checked: {_command_for_cluster(kafka, 'DescribeConfigs')}"
        )
        what = "its settings were not checked: this principal lacks DescribeConfigs on the cluster"
        findings.add_note("kafka.brokers.settings", broker.subject, what, remedy)
        return
    problems = find_broker_problems(broker, found, kafka, timing)
    risks = find_broker_risks(broker, found, kafka, timing)
    for problem in problems:
        findings.add_problem(problem)
    for risk in risks:
        findings.add_problem(risk, Level.NOTE)
    if not problems and not risks:
        findings.add_ok("kafka.brokers.settings", broker.subject, "its settings that matter to the bridge are good")


async def _report_clock(
    findings: Findings, admin: AIOKafkaAdminClient, settings: Settings, clock: Callable[[], Now]
) -> None:
    try:
        found = await read_controller_clock(admin)
    except NO_ANSWER as error:
        raise KafkaTrouble(f"the controller's clock could not be read: {error!r}") from error
    if found is None:
        what = "not compared: this principal lacks Describe on the cluster; the daemon compares it when it takes over"
        remedy = f"to have it compared here: {_command_for_cluster(settings.kafka, 'Describe')}"
        findings.add_note("clock.kafka", "cluster", what, remedy)
        return
    judge_clock(
        findings,
        "clock.kafka",
        f"controller {found.node_id}",
        found.reading,
        clock(),
        whose="the cluster's",
        bound_s=settings.timing.skew_bound_s,
    )


def _command_for_cluster(kafka: Kafka, operation: str) -> str:
    return command_that_grants(kafka, [operation], "--cluster")
