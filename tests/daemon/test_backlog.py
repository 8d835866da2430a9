"""What piled up while nobody ran: expired commands, and offsets that somebody reset or deleted by a tool."""

import sys
from typing import Any

from bridge.contract.topics import Stream, group_name, topic_name
from bridge.sandbox.venue.ledger import EntryKind
from tests.support.kafka_tool import consumer_groups
from tests.support.rig import PLACE, Rig, Topic, command

STALE = 20_000
FRESH_EVERY = 1_000
FEW = 30


def _stale(number: int) -> dict[str, Any]:
    """Return a command that was over before it was sent; every action has its turn."""
    asked = (
        ("place_order", PLACE),
        ("replace_order", {"orderId": "1703213979730000", "replacePrice": "20100"}),
        ("cancel_order", {"orderId": "1703213979730000"}),
        ("cancel_orders", {"exchangeType": "ALL"}),
    )
    action, args = asked[number % len(asked)]
    return command(action, args, valid_s=-1)


async def _make_topics(rig: Rig) -> None:
    async with rig.daemon():
        await rig.topic(Stream.COMMANDS)


async def test_what_expired_while_nobody_ran_is_answered_at_full_speed(rig: Rig) -> None:
    """20,000 expired commands of every action are answered `expired` without a call to the venue; fresh ones go out."""
    await _make_topics(rig)
    stale = [_stale(number) for number in range(STALE)]
    fresh = [command("place_order", PLACE, valid_s=300) for _ in range(STALE // FRESH_EVERY)]
    for turn, one in enumerate(fresh):
        await rig.send(*stale[turn * FRESH_EVERY : (turn + 1) * FRESH_EVERY], one)
    async with rig.daemon_process(unread=True, limits={"lane_commands_max": 2 * STALE}):
        results = await rig.topic(Stream.RESULTS)
        await results.until(lambda _: len(results.answered_ms) == len(stale) + len(fresh), 120)
    answers = {v["commandId"]: v["outcome"] for v in results.values if "commandId" in v}
    assert {one["commandId"]: "expired" for one in stale} | {one["commandId"]: "accepted" for one in fresh} == answers
    assert len(answers) == sum("commandId" in v for v in results.values)
    assert len(rig.venue.ledger.requests_received("place_order", rig.venue.keys["main"].portfolio_id)) == len(fresh)
    assert len(rig.venue.ledger.entries(EntryKind.VERDICT)) == len(fresh)
    began_ms = next(record.timestamp for record in reversed(results.records) if record.key == b"main")
    took_s = (max(results.answered_ms[one["commandId"]] for one in stale) - began_ms) / 1000
    sys.stdout.write(f"{STALE} expired commands answered in {took_s:.1f} s, {STALE / took_s:.0f} records/s\n")


async def _answered(rig: Rig, results: Topic, places: list[dict[str, Any]]) -> None:
    await rig.send(*places)
    await results.until(lambda _: all(one["commandId"] in results.answered_ms for one in places))


async def _nothing_happens_again(
    rig: Rig, results: Topic, answered: list[dict[str, Any]], left: dict[str, Any]
) -> None:
    """Require that a new owner sends and answers only what is new, and says what it found."""
    after = command("place_order", PLACE)
    async with rig.daemon():
        session = await rig.topic(Stream.SESSION)
        await session.until(lambda values: any(v.get("alarm") == "claims_unreadable" for v in values))
        await rig.send(after)
        assert (await results.result(after))["outcome"] == "accepted"
        await results.until(lambda values: any(v.get("commandId") == left["commandId"] for v in values))
    assert all(len(results.results_of(one)) == 1 for one in answered)
    assert results.results_of(left) == []
    received = rig.venue.ledger.requests_received("place_order", rig.venue.keys["main"].portfolio_id)
    assert len(received) == len([*answered, after])


async def _past(rig: Rig) -> tuple[Topic, list[dict[str, Any]], dict[str, Any]]:
    """Let a daemon answer a few places and end; return `results`, the places, and one that nobody has read."""
    places = [command("place_order", PLACE) for _ in range(FEW)]
    async with rig.daemon():
        results = await rig.topic(Stream.RESULTS)
        await _answered(rig, results, places)
    left = command("place_order", PLACE, valid_s=300)
    await rig.send(left)
    return results, places, left


async def test_offsets_reset_to_the_beginning_by_a_tool(rig: Rig) -> None:
    """After `--reset-offsets --to-earliest` nothing is sent or answered again, what has no answer counts as claimed."""
    group, commands = group_name(rig.prefix, "main"), topic_name(rig.prefix, "main", Stream.COMMANDS)
    results, places, left = await _past(rig)
    reset = ("--reset-offsets", "--to-earliest", "--execute", "--group", group, "--topic", commands)
    told = await consumer_groups(rig.bootstrap, *reset)
    assert commands in told
    await _nothing_happens_again(rig, results, places, left)


async def test_a_group_that_was_deleted_by_a_tool(rig: Rig) -> None:
    """After `--delete` of the group nothing is sent or answered again, what has no answer counts as claimed."""
    results, places, left = await _past(rig)
    told = await consumer_groups(rig.bootstrap, "--delete", "--group", group_name(rig.prefix, "main"))
    assert "successful" in told
    await _nothing_happens_again(rig, results, places, left)
