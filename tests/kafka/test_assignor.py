"""The assignor keeps the account where it is, gives it to the member that hashing chooses, and passes a question on."""

import struct
from collections.abc import Mapping

import pytest
from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.protocol import (
    ConsumerProtocol,
    ConsumerProtocolMemberAssignment,
    ConsumerProtocolMemberMetadata,
)
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.placement import Candidate, choose_candidate
from bridge.kafka.assignor import HandOverAssignor, StickyOwnerAssignor
from bridge.kafka.member_metadata import HAND_OVER, MemberMetadata, MemberNote, build_metadata, read_epoch, read_note

TOPIC = "ltp.main.commands"


class OnePartition(ClusterMetadata):  # type: ignore[misc] # aiokafka publishes no types
    """A cluster that has the topic, with one partition."""

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        """Answer as a cluster would."""
        return {0} if topic == TOPIC else None


def decoded(sent: bytes) -> MemberMetadata:
    """Return what a leader reads."""
    found: MemberMetadata = MemberMetadata.decode(sent)
    return found


def member(epoch: int = 0, instance: str = "") -> MemberMetadata:
    """Return what a member sends that owns an epoch."""
    assignor = StickyOwnerAssignor("main", instance, lambda: epoch, lambda: None)
    return decoded(assignor.metadata([TOPIC]).encode())


def earlier(epoch: int = 0) -> MemberMetadata:
    """Return what a member of an earlier version sends: Kafka's fields and nothing behind them."""
    sent = ConsumerProtocolMemberMetadata(0, [TOPIC], struct.pack(">q", epoch)).encode()
    return decoded(sent)


def asking(member_id: str) -> MemberMetadata:
    """Return what one sends that asks a member to hand over."""
    return decoded(HandOverAssignor("main", member_id).metadata([TOPIC]).encode())


def assign(members: Mapping[str, ConsumerProtocolMemberMetadata]) -> dict[str, ConsumerProtocolMemberAssignment]:
    """Assign as the leader of the group does."""
    given = StickyOwnerAssignor("main", "leader", lambda: 0, lambda: None).assign(OnePartition(), members)
    assert members.keys() == given.keys()
    return given


def holders(members: Mapping[str, ConsumerProtocolMemberMetadata]) -> list[str]:
    """Return who gets the partition."""
    return [member_id for member_id, one in assign(members).items() if one.partitions()]


def told(members: Mapping[str, ConsumerProtocolMemberMetadata]) -> list[str]:
    """Return who is told to hand over."""
    return [member_id for member_id, one in assign(members).items() if one.user_data == HAND_OVER]


def test_highest_epoch_keeps_the_partition() -> None:
    """The member that owns the highest epoch keeps the partition, whatever its id and name."""
    assert ["c"] == holders({"a": member(0, "x"), "b": member(6, "y"), "c": member(7, "z")})


@given(names=st.lists(st.text(), min_size=1, max_size=6, unique=True), leader=st.randoms())
def test_hashing_chooses_where_nobody_owns(names: list[str], leader: object) -> None:
    """Whoever leads and in whatever order the members are, the one of the highest score gets the partition."""
    members = [(f"m{number}", member(0, name)) for number, name in enumerate(names)]
    chosen = choose_candidate("main", [Candidate(one, read_note(data).instance or one) for one, data in members])
    leader.shuffle(members)  # type: ignore[attr-defined] # hypothesis' own random
    assert [chosen.member_id] == holders(dict(members))


def test_an_owner_of_an_earlier_version_keeps_the_partition() -> None:
    """What an earlier version sends is read as its epoch, and what this one sends by an earlier leader."""
    assert ["old"] == holders({"new": member(0, "x"), "old": earlier(3)})
    sent = ConsumerProtocolMemberMetadata.decode(member(9, "x").encode())
    assert (0, [TOPIC], struct.pack(">q", 9)) == (sent.version, sent.subscription, sent.user_data)


def test_members_of_an_earlier_version_are_chosen_by_their_ids() -> None:
    """Several of them spread as well."""
    members = {f"m{number}": earlier() for number in range(3)}
    chosen = choose_candidate("main", [Candidate(one, one) for one in members])
    assert [chosen.member_id] == holders(members)


def test_only_the_owner_is_told_to_hand_over() -> None:
    """The question reaches the member that it names, if it owns an epoch; the one who asks gets nothing."""
    members = {"a": member(0, "x"), "b": member(7, "y"), "ask": asking("b")}
    assert (["b"], ["b"]) == (holders(members), told(members))
    assert [] == told(members | {"ask": asking("a")})
    assert [] == told({"a": member(0, "x"), "ask": asking("a")})
    assert [] == holders({"ask": asking("b")})


def test_one_who_asks_is_never_chosen() -> None:
    """Not even by a leader of an earlier version, which gives the partition to those that want the topic."""
    assert [] == asking("b").subscription
    assert ["z"] == holders({"a": asking("b"), "z": member(0, "x")})


def test_a_member_hears_that_it_is_asked() -> None:
    """The assignor of the owner says so, and only then."""
    heard: list[str] = []
    assignor = StickyOwnerAssignor("main", "x", lambda: 1, lambda: heard.append("asked"))
    assignor.on_assignment(ConsumerProtocolMemberAssignment(0, [(TOPIC, [0])], b""))
    assert [] == heard
    assignor.on_assignment(ConsumerProtocolMemberAssignment(0, [(TOPIC, [0])], HAND_OVER))
    assert ["asked"] == heard


@pytest.mark.parametrize(
    "rest", [b"", b"\x00\x00\x00\x00", b"{", b"[]", b'{"instance": 7}', b"\xff", b'{"x":' * 9999, b'{"other": [1]}']
)
def test_a_note_that_is_none_names_nothing(rest: bytes) -> None:
    """Whatever a foreign member has behind Kafka's fields: it has no name, asks nobody, and does no harm."""
    metadata = MemberMetadata(1, [TOPIC], b"", rest)
    assert MemberNote() == read_note(metadata)
    assert ["a"] == holders({"a": metadata})


def test_a_note_of_a_later_version_is_read() -> None:
    """Fields that are not known are passed over."""
    assert MemberNote("x") == read_note(MemberMetadata(0, [], b"", b'{"instance":"x","zone":"b"}'))


def test_foreign_user_data_owns_nothing() -> None:
    """A member whose user data is no epoch owns none, and the partitions are assigned."""
    members = {
        "a": ConsumerProtocolMemberMetadata(0, [TOPIC], b"?"),
        "b": member(1),
        "c": ConsumerProtocolMemberMetadata(0, ["other"], b""),
        "d": ConsumerProtocolMemberMetadata(0, [TOPIC], None),
    }
    assert [0, 1, 0, 0] == [read_epoch(one) for one in members.values()]
    given = {name: len([p for _, p in one.assignment if p]) for name, one in assign(members).items()}
    assert {"a": 0, "b": 1, "c": 0, "d": 0} == given


def test_a_negative_epoch_is_none() -> None:
    """It must not win over the owner's."""
    assert read_epoch(build_metadata([TOPIC], -1, MemberNote())) == 0


def test_the_consumers_of_a_member_read_the_whole_metadata() -> None:
    """The library decodes with the class that keeps what stands behind Kafka's fields, in a process with members."""
    from bridge.kafka.member_metadata import read_whole_metadata  # noqa: PLC0415 - it changes the library

    read_whole_metadata()
    assert read_note(ConsumerProtocol.METADATA.decode(member(1, "x").encode())) == MemberNote("x")
