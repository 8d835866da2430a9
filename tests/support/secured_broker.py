"""A real broker that asks who one is (SASL) and lets nobody do anything without a grant (Kafka's StandardAuthorizer).

Whoever comes by its plain listener may do everything: that is the test itself, as an administrator.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import CreateAclsRequest, DeleteAclsRequest

from bridge.config import Kafka
from bridge.contract.topics import Stream, group_name, topic_name
from bridge.sandbox.broker.cluster import find_free_ports
from bridge.sandbox.broker.embedded import EmbeddedBroker

PASSWORD: Final = "a-password-for-tests"
PRINCIPALS: Final = tuple(f"bridge-{number}" for number in range(8))
OPERATIONS: Final = {"Read": 3, "Write": 4, "Create": 5, "Describe": 8, "DescribeConfigs": 10, "AlterConfigs": 11}
_TOPIC, _GROUP = 2, 3
_LITERAL = 3
_DENY, _ALLOW = 2, 3


class Grant(NamedTuple):
    """An operation on the topic of a stream, or on the account's group where there is none."""

    stream: Stream | None
    operation: str


class SecuredBroker(EmbeddedBroker):
    """The broker with another listener, which asks for a name and a password."""

    sasl_port = 0

    def settings(self, controller_port: int) -> dict[str, str]:
        """Add the listener and the authorizer."""
        (self.sasl_port,) = find_free_ports(1)
        base = super().settings(controller_port)
        address = f"SASL_PLAINTEXT://127.0.0.1:{self.sasl_port}"
        users = " ".join(f'user_{name}="{PASSWORD}"' for name in PRINCIPALS)
        return {
            **base,
            "listeners": f"{base['listeners']},{address}",
            "advertised.listeners": f"{base['advertised.listeners']},{address}",
            "listener.security.protocol.map": f"{base['listener.security.protocol.map']},SASL_PLAINTEXT:SASL_PLAINTEXT",
            "sasl.enabled.mechanisms": "PLAIN",
            "listener.name.sasl_plaintext.plain.sasl.jaas.config": (
                f"org.apache.kafka.common.security.plain.PlainLoginModule required {users};"
            ),
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
        }

    def kafka(self, principal: str, folder: Path, prefix: str) -> Kafka:
        """Return the settings with which a principal connects."""
        password = folder / "kafka-password"
        password.write_text(PASSWORD)
        return Kafka.model_validate(
            {
                "bootstrap_servers": f"127.0.0.1:{self.sasl_port}",
                "topic_prefix": prefix,
                "security_protocol": "SASL_PLAINTEXT",
                "sasl_mechanism": "PLAIN",
                "sasl_username": principal,
                "sasl_password_file": password,
                "replication_factor": 1,
                "min_insync_replicas": 1,
            }
        )


class Grants:
    """Gives and takes grants, as an administrator."""

    def __init__(self, admin: AIOKafkaAdminClient) -> None:
        self._admin = admin

    async def give(self, principal: str, prefix: str, grants: Iterable[Grant], *, deny: bool = False) -> None:
        """Grant operations on the topics and the group of the account `main`, or `deny` them."""
        for grant in grants:
            request = CreateAclsRequest(*_rule(principal, prefix, grant, deny=deny))
            response = (await self._admin._send_request(request)).to_object()
            assert [one["error_code"] for one in response["creation_responses"]] == [0]

    async def take(self, principal: str, prefix: str, *grants: Grant, deny: bool = False) -> None:
        """Take grants away, or what was denied."""
        for grant in grants:
            request = DeleteAclsRequest(*_rule(principal, prefix, grant, deny=deny))
            response = (await self._admin._send_request(request)).to_object()
            assert [one["error_code"] for one in response["filter_responses"]] == [0]


def _rule(principal: str, prefix: str, grant: Grant, *, deny: bool) -> tuple[int, str, int, str, str, int, int]:
    """Return one rule of the authorizer, for any host."""
    effect = _DENY if deny else _ALLOW
    return *_resource(prefix, grant), f"User:{principal}", "*", OPERATIONS[grant.operation], effect


def _resource(prefix: str, grant: Grant) -> tuple[int, str, int]:
    if grant.stream is None:
        return _GROUP, group_name(prefix, "main"), _LITERAL
    return _TOPIC, topic_name(prefix, "main", grant.stream), _LITERAL


@asynccontextmanager
async def administrator_of(broker: EmbeddedBroker) -> AsyncIterator[AIOKafkaAdminClient]:
    """Have a client that may do everything."""
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()
