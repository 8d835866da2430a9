"""Every stream and every action stands in each table that has one entry for it."""

from typing import get_args

from bridge.config import Limits
from bridge.contract.commands import CANCEL, CANCEL_ALL, PLACE, REPLACE, Command
from bridge.contract.export.asyncapi import build_document
from bridge.contract.export.messages import MESSAGES
from bridge.contract.headers import EVENT_TYPES
from bridge.contract.session import Recovered
from bridge.contract.topics import CLEANUP_POLICY, STATE_STREAMS, TAKEOVER_STREAMS, Stream
from bridge.core.commands.command import ACTIONS, SAFE_TO_REPEAT
from bridge.core.commands.lanes import CLAIM_LANES, Lanes
from bridge.core.commands.rate_limits import RateLimits
from bridge.core.stream.venue_record import PARSERS
from bridge.core.topic_losses import GONE

TAGS = [str(kind.__struct_config__.tag) for kind in get_args(Command)]


def test_every_stream_has_a_policy_a_type_and_a_text_for_its_loss() -> None:
    """A stream that is missing from a table would raise only when its first record is published, or its topic lost."""
    assert set(CLEANUP_POLICY) == set(Stream)
    assert set(GONE) == set(Stream)
    assert set(EVENT_TYPES) == set(Stream) - {Stream.COMMANDS}
    assert len(set(EVENT_TYPES.values())) == len(EVENT_TYPES)


def test_every_stream_is_in_the_exported_contract() -> None:
    """Each stream has a message, and a channel with a purpose."""
    channels = build_document()["channels"]
    assert {message.stream for message in MESSAGES} == set(Stream)
    assert set(channels) == {stream.value for stream in Stream}
    assert all(channel["description"] for channel in channels.values())


def test_streams_of_the_venue_have_parsers() -> None:
    """What is recovered from REST, and what has a state, is parsed like a push; a takeover reads every state."""
    assert {Stream(name.replace("_", "-")) for name in Recovered.__struct_fields__} <= set(PARSERS)
    assert set(PARSERS) >= STATE_STREAMS
    assert set(TAKEOVER_STREAMS) >= STATE_STREAMS


def test_every_action_is_a_command_of_the_contract() -> None:
    """The constants, the union of commands and the exported messages name the same actions."""
    assert sorted(TAGS) == sorted([PLACE, REPLACE, CANCEL, CANCEL_ALL])
    written = [message.kind for message in MESSAGES if message.stream is Stream.COMMANDS]
    assert sorted(written, key=repr) == sorted(get_args(Command), key=repr)


def test_every_action_has_its_urgency_its_lane_and_its_rate_limit() -> None:
    """An action is claimed before its write unless it is safe to repeat."""
    rate_limits, lanes = RateLimits(Limits(), late_landing_s=60), Lanes()
    assert sorted(ACTIONS) == sorted(TAGS)
    assert set(CLAIM_LANES) == set(ACTIONS) - SAFE_TO_REPEAT
    for action in TAGS:
        assert rate_limits[action].next_free_boot_s(0.0) <= 0
        assert lanes.count_waiting(action) == 0
        assert lanes.peek_head(action) is None
