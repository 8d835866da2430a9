"""What a member tells the leader of its group when it joins, and what the leader tells a member.

Kafka's ConsumerProtocol has a version, topics and user data. The user data is the owned epoch in eight bytes, and stays
so: the leader may be of an earlier version, which takes anything else for no epoch. The rest stands behind it, as JSON:
readers of Kafka's protocol leave out what follows the fields that they know, and an earlier member sends nothing there.
"""

import struct
from collections.abc import Iterable
from io import BytesIO
from typing import Final

import msgspec
from aiokafka.coordinator.protocol import ConsumerProtocol, ConsumerProtocolMemberMetadata
from aiokafka.protocol.abstract import AbstractType
from aiokafka.protocol.types import Schema
from msgspec import Struct

VERSION: Final = 0
HAND_OVER: Final = b"hand over"
"""User data of an assignment: its member is to end its term in good order and to join again."""
_EPOCH: Final = struct.Struct(">q")


class _Rest(AbstractType[bytes]):  # type: ignore[misc] # aiokafka publishes no types
    """All that is left."""

    @classmethod
    def encode(cls, value: bytes) -> bytes:
        return value

    @classmethod
    def decode(cls, data: BytesIO) -> bytes:
        return data.read()


class MemberMetadata(ConsumerProtocolMemberMetadata):  # type: ignore[misc] # as above
    """Kafka's fields, and what stands behind them."""

    SCHEMA = Schema(
        *zip(ConsumerProtocolMemberMetadata.SCHEMA.names, ConsumerProtocolMemberMetadata.SCHEMA.fields, strict=True),
        ("rest", _Rest),
    )


class MemberNote(Struct, frozen=True, rename="camel", omit_defaults=True):
    """What stands behind Kafka's fields: the name of the process; of one who asks, the member that is to hand over."""

    instance: str = ""
    hand_over: str = ""


def read_whole_metadata() -> None:
    """Let the consumers of this process read what stands behind Kafka's fields."""
    ConsumerProtocol.METADATA = MemberMetadata


def build_metadata(topics: Iterable[str], epoch: int, note: MemberNote) -> MemberMetadata:
    """Return what a member sends: the topics that it may be assigned, the epoch that it owns (0 for none), its note."""
    return MemberMetadata(VERSION, list(topics), _EPOCH.pack(epoch), msgspec.json.encode(note))


def read_epoch(metadata: ConsumerProtocolMemberMetadata) -> int:
    """Return a member's epoch; 0 for a member that is no bridge."""
    user_data = metadata.user_data
    if user_data is None or len(user_data) != _EPOCH.size:
        return 0
    epoch: int = _EPOCH.unpack(user_data)[0]
    return max(epoch, 0)


def read_note(metadata: ConsumerProtocolMemberMetadata) -> MemberNote:
    """Return a member's note; an empty one for a member of an earlier version, or that is no bridge."""
    try:
        return msgspec.json.decode(getattr(metadata, "rest", b""), type=MemberNote)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return MemberNote()
