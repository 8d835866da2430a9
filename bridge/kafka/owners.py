"""Finding who owns accounts at this moment: the members of their groups, read without joining any."""

from collections.abc import Iterable
from typing import Final

from aiokafka import errors as kafka_errors
from aiokafka.admin import AIOKafkaAdminClient

from bridge.config import Kafka
from bridge.contract.topics import group_name
from bridge.errors import KafkaTrouble
from bridge.kafka import aiokafka_internals
from bridge.kafka.cluster import NO_ANSWER
from bridge.kafka.preflight import reach_cluster

_NO_GROUP: Final = (
    kafka_errors.GroupCoordinatorNotAvailableError,
    kafka_errors.NotCoordinatorForGroupError,
    kafka_errors.InvalidGroupIdError,
)
_GROUP_ID_NOT_FOUND: Final = 69


async def find_owners(kafka: Kafka, accounts: Iterable[str]) -> dict[str, str]:
    """Return the accounts whose group has members, with where these run. Raises ClusterUnreachable, KafkaTrouble."""
    admin = await reach_cluster(kafka)
    try:
        members = {
            account: await _read_member_hosts(admin, group_name(kafka.topic_prefix, account)) for account in accounts
        }
    except NO_ANSWER as error:
        raise KafkaTrouble(f"the members of the accounts' groups could not be read: {error!r}") from error
    finally:
        await aiokafka_internals.close_admin(admin)
    return {account: ", ".join(sorted(hosts)) for account, hosts in members.items() if hosts}


async def _read_member_hosts(admin: AIOKafkaAdminClient, group: str) -> set[str]:
    """Return the hosts of a group's members; an empty set where there is no such group yet."""
    try:
        (response,) = await admin.describe_consumer_groups([group])
    except _NO_GROUP:
        return set()
    (described,) = response.to_object()["groups"]
    code = described["error_code"]
    if code == _GROUP_ID_NOT_FOUND:
        return set()
    if code:
        raise KafkaTrouble(
            f"group {group}: its members cannot be read ({kafka_errors.for_code(code).__name__}); grant this principal "
            "Describe or Read on it"
        )
    return {str(member["client_host"]).lstrip("/") for member in described["members"]}
