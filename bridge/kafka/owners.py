"""Finding who owns accounts at this moment: the members of their groups, read without joining any."""

from collections.abc import Iterable
from typing import Any, Final

from aiokafka import errors as kafka_errors
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from msgspec import Struct

from bridge.config import Kafka
from bridge.contract.topics import Stream, group_name, topic_name
from bridge.core.placement import Candidate, Placement
from bridge.errors import KafkaTrouble
from bridge.kafka import aiokafka_internals
from bridge.kafka.assignor import candidate_of
from bridge.kafka.cluster import NO_ANSWER
from bridge.kafka.member_metadata import MemberMetadata, read_note
from bridge.kafka.preflight import reach_cluster

_NO_GROUP: Final = (
    kafka_errors.GroupCoordinatorNotAvailableError,
    kafka_errors.NotCoordinatorForGroupError,
    kafka_errors.InvalidGroupIdError,
)
_GROUP_ID_NOT_FOUND: Final = 69
_STABLE: Final = "Stable"
_EMPTY: Final = frozenset({"Empty", "Dead"})


class GroupView(Struct, frozen=True):
    """The group of one account as its coordinator describes it.

    `placement` is None while the group has no member or no owner, or forms anew (`is_changing`).
    """

    placement: Placement | None
    is_changing: bool = False
    is_asked: bool = False
    """Whether one that asks for a hand-over is in the group."""
    unnamed: tuple[str, ...] = ()
    """Hosts of members that do not tell their names: they are of an earlier version."""


async def find_owners(kafka: Kafka, accounts: Iterable[str]) -> dict[str, str]:
    """Return the accounts whose group has members, with where these run. Raises ClusterUnreachable, KafkaTrouble."""
    groups = await _describe_groups(kafka, accounts)
    hosts = {account: {_host_of(member) for member in group["members"]} for account, group in groups.items()}
    return {account: ", ".join(sorted(found)) for account, found in hosts.items() if found}


async def read_groups(kafka: Kafka, accounts: Iterable[str]) -> dict[str, GroupView]:
    """Return how the group of each account is. Raises ClusterUnreachable, KafkaTrouble."""
    groups = await _describe_groups(kafka, accounts)
    return {
        account: _view_group(topic_name(kafka.topic_prefix, account, Stream.COMMANDS), group)
        for account, group in groups.items()
    }


def _view_group(topic: str, group: dict[str, Any]) -> GroupView:
    if group["state"] != _STABLE:
        return GroupView(None, is_changing=group["state"] not in _EMPTY)
    candidates, owner, unnamed, is_asked = [], None, [], False
    for member in group["members"]:
        metadata = MemberMetadata.decode(member["member_metadata"])
        note = read_note(metadata)
        is_asked |= bool(note.hand_over)
        if topic not in metadata.subscription:
            continue
        one: Candidate = candidate_of(member["member_id"], metadata)
        candidates.append(one)
        if not note.instance:
            unnamed.append(_host_of(member))
        if any(given == topic and partitions for given, partitions in _read_assignment(member["member_assignment"])):
            owner = one
    placement = Placement(tuple(sorted(candidates)), owner) if owner is not None else None
    return GroupView(placement, is_asked=is_asked, unnamed=tuple(sorted(unnamed)))


def _read_assignment(assignment: bytes) -> list[tuple[str, list[int]]]:
    return list(ConsumerProtocolMemberAssignment.decode(assignment).assignment) if assignment else []


async def _describe_groups(kafka: Kafka, accounts: Iterable[str]) -> dict[str, dict[str, Any]]:
    admin = await reach_cluster(kafka)
    try:
        return {account: await _describe_group(admin, group_name(kafka.topic_prefix, account)) for account in accounts}
    except NO_ANSWER as error:
        raise KafkaTrouble(f"the members of the accounts' groups could not be read: {error!r}") from error
    finally:
        await aiokafka_internals.close_admin(admin)


async def _describe_group(admin: AIOKafkaAdminClient, group: str) -> dict[str, Any]:
    """Return a group as the coordinator describes it; one without members where there is no such group yet."""
    none: dict[str, Any] = {"state": "Dead", "members": []}
    try:
        (response,) = await admin.describe_consumer_groups([group])
    except _NO_GROUP:
        return none
    described: dict[str, Any]
    (described,) = response.to_object()["groups"]
    code = described["error_code"]
    if code == _GROUP_ID_NOT_FOUND:
        return none
    if code:
        raise KafkaTrouble(
            f"group {group}: its members cannot be read ({kafka_errors.for_code(code).__name__}); grant this principal "
            "Describe or Read on it"
        )
    return described


def _host_of(member: dict[str, Any]) -> str:
    return str(member["client_host"]).lstrip("/")
