"""`ltp-bridge rebalance` with real processes: accounts move one at a time, in good order, and only when asked."""

import asyncio
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bridge import rebalance
from bridge.config import Kafka, Timing
from bridge.contract.topics import Stream
from bridge.core.placement import Candidate, choose_candidate
from bridge.errors import KafkaTrouble
from bridge.kafka import membership
from bridge.kafka.membership import Membership
from bridge.kafka.owners import read_groups
from bridge.sandbox.venue.faults import Fault, FaultKind
from bridge.sandbox.venue.settings import AccountSettings, VenueSettings
from bridge.sandbox.venue.venue import Venue
from tests.daemon.test_ownership import KILLED_S
from tests.kafka.test_handover import AssignorOfEarlierVersion
from tests.spread.traders import Traders
from tests.support.replica import replica
from tests.support.rig import PLACE, Rig, Topic, command
from tests.witness.child_process import send_signal, start_module
from tests.witness.daemon_settings import as_toml
from tests.witness.waiting import until

ACCOUNTS = ["main", "second"]


def names_for(account: str) -> tuple[str, str]:
    """Return two names: the one that hashing does not choose for an account, and the one that it does."""
    chosen = choose_candidate(account, [Candidate(name, name) for name in ("left", "right")]).instance
    return ("left" if chosen == "right" else "right"), chosen


async def move(rig: Rig, *, accounts: list[str] | None = None, is_dry_run: bool = False) -> list[str]:
    """Run the command; return what it tells."""
    told: list[str] = []
    settings = rig.settings()
    await rebalance.run(settings.kafka, settings.timing, accounts or ["main"], told.append, is_dry_run=is_dry_run)
    return told


async def traded(rig: Rig, results: Topic) -> dict[str, Any]:
    """Send a place and wait until the venue has taken it."""
    place = command("place_order", PLACE)
    await rig.send(place)
    assert (await results.result(place))["outcome"] == "accepted"
    return place


async def test_an_account_moves_when_it_is_asked_for_and_not_before(rig: Rig) -> None:
    """A standby with the better name gets it by the command alone; both terms trade, and a third run moves nothing."""
    owner_name, chosen_name = names_for("main")
    async with replica(rig, instance=owner_name) as owner:
        await owner.until("recovery.complete")
        async with replica(rig, instance=chosen_name) as chosen:
            await chosen.until("account.standby")
            results, session = await rig.topic(Stream.RESULTS), await rig.topic(Stream.SESSION)
            await traded(rig, results)
            planned = await move(rig, is_dry_run=True)
            assert f"  main  {owner_name} -> {chosen_name}" in planned
            assert not owner.logged("account.handing_over")
            told = await move(rig)
            (line,) = [one for one in told if one.startswith("  main")]
            assert line.startswith(f"  main  {owner_name} -> {chosen_name}  no session ")
            assert "commands waited" in line
            await traded(rig, results)
            await owner.until("account.standby", times=2)
            assert "0 of 1 accounts are to move" in await move(rig)
            assert f"{chosen_name} owns 1 accounts; by hashing 1" in told
    owners = [(one["type"], one["instance"]) for one in session.values if one["type"].startswith("owner.")]
    assert owners[:3] == [
        ("owner.acquired", owner_name),
        ("owner.released", owner_name),
        ("owner.acquired", chosen_name),
    ]
    assert len(rig.written("place_order")) == 2


async def test_what_is_on_its_way_is_settled_first(rig: Rig) -> None:
    """The owner waits for the venue's answer and reports it; what comes meanwhile is the next owner's: each once."""
    owner_name, chosen_name = names_for("main")
    async with replica(rig, instance=owner_name) as owner:
        await owner.until("recovery.complete")
        async with replica(rig, instance=chosen_name) as chosen:
            await chosen.until("account.standby")
            results = await rig.topic(Stream.RESULTS)
            rig.venue.faults.add(Fault(kind=FaultKind.HOLD_REQUEST, action="place_order"))
            before, meanwhile = command("place_order", PLACE), command("place_order", PLACE)
            await rig.send(before)
            await until(lambda: bool(rig.written("place_order")))
            moving = asyncio.create_task(move(rig))
            await owner.until("account.handing_over")
            await rig.send(meanwhile)
            assert not owner.logged("account.released")
            rig.venue.faults.clear()
            await moving
            assert [(await results.result(one))["outcome"] for one in (before, meanwhile)] == ["accepted", "accepted"]
            epochs = {value["commandId"]: epoch for epoch, value in results.valid() if "commandId" in value}
            assert (1, 2) == (epochs[before["commandId"]], epochs[meanwhile["commandId"]])
    names = [frame["args"]["clientOrderId"] for frame in rig.written("place_order")]
    assert len(names) == len(set(names)) == 2


async def test_a_move_that_does_not_end_well_is_the_last(two_accounts: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a new owner gets no session, the command says what is missing and what to do, and asks for nothing more."""
    rig = two_accounts
    monkeypatch.setattr(rebalance, "_DONE_S", 4.0)
    names = {account: names_for(account) for account in ACCOUNTS}
    owner_name, chosen_name = names["main"]
    away = [{"name": "AWAY", "ws_url": "ws://127.0.0.1:9/", "rest_url": "http://127.0.0.1:9/"}]
    async with replica(rig, accounts=ACCOUNTS, instance=owner_name) as owner:
        await owner.until("recovery.complete", times=2)
        async with replica(rig, accounts=ACCOUNTS, instance=chosen_name, endpoints=away) as chosen:
            await chosen.until("account.standby", times=2)
            with pytest.raises(KafkaTrouble, match=f"main: its new owner {chosen_name} has no session yet"):
                await move(rig, accounts=ACCOUNTS)
            chosen.stop()
            await owner.until("recovery.complete", times=3)
    assert ["main"] == [line["account"] for line in owner.logged("account.handing_over")]


async def test_who_cannot_hand_over_is_not_asked(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a replica there is nothing to move; with one of an earlier version it says to update it first."""
    settings = rig.settings()
    async with replica(rig, instance="x") as owner:
        await owner.until("recovery.complete")
        earlier = member(settings.kafka, settings.timing)
        with monkeypatch.context() as patch:
            patch.setattr(membership, "StickyOwnerAssignor", AssignorOfEarlierVersion)
            await earlier.join()
        with pytest.raises(KafkaTrouble, match="earlier version"):
            await move(rig)
        await earlier.leave()
        owner.stop()
        await owner.ended()
    assert ["no replica runs main: nothing to hand over there", "0 of 0 accounts are to move"] == await move(rig)


async def test_two_of_one_name_are_told(rig: Rig) -> None:
    """The account stays with the one that has it, and a person learns that the name is not unique."""
    async with replica(rig, instance="same") as owner:
        await owner.until("recovery.complete")
        async with replica(rig, instance="same") as twin:
            await twin.until("account.standby")
            told = await move(rig)
    assert "0 of 1 accounts are to move" in told
    assert any("several replicas are called same" in line for line in told)


def member(kafka: Kafka, timing: Timing) -> Membership:
    """Return a member of the account's group."""
    return Membership(kafka, timing, "main", "here", on_revoked=lambda: None, on_assigned=lambda: None)


def _run_command(*words: str) -> tuple[int, str]:
    """Run it as a process of its own: here it would silence the log for all later tests."""
    command = [sys.executable, "-m", "bridge", "rebalance", *words]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - our own command
    return ended.returncode, ended.stdout + ended.stderr


def test_the_command_line_needs_no_key(bootstrap: str, tmp_path: Path) -> None:
    """Of the accounts only their names are read; where a broker is away it says so in a sentence."""
    kafka = {"bootstrap_servers": "127.0.0.1:1", "topic_prefix": "none"}
    config = tmp_path / "bridge.toml"
    config.write_text(as_toml({"kafka": kafka, "accounts": {"main": {"api_key_file": "/nowhere"}}}))
    code, told = _run_command("--config", str(config))
    assert (1, True) == (code, "127.0.0.1:1" in told)
    reached = {**kafka, "bootstrap_servers": bootstrap}
    config.write_text(as_toml({"kafka": reached, "accounts": {"main": {"api_key_file": "/nowhere"}}}))
    code, told = _run_command("--dry-run", "--config", str(config))
    assert (1, True) == (code, "none.main.session: no such topic" in told)


async def test_two_commands_at_once_still_move_one_account_at_a_time(bootstrap: str, tmp_path: Path) -> None:
    """Each waits while an account changes hands, whoever asked for it, and in the end each account is in its place."""
    accounts = [f"account-{number}" for number in range(6)]
    venue_settings = VenueSettings(accounts=tuple(AccountSettings(name=name) for name in accounts))
    async with Venue(venue_settings) as venue, Rig(bootstrap, venue, tmp_path) as rig:
        settings = rig.settings(accounts=accounts)
        async with replica(rig, accounts=accounts, instance="left") as left:
            await left.until("recovery.complete", times=6)
            async with replica(rig, accounts=accounts, instance="right") as right, Traders(rig, accounts) as traders:
                await right.until("account.standby", times=6)
                begun_s = time.monotonic()
                async with traders.trading(0.05):
                    runs = [
                        rebalance.run(settings.kafka, settings.timing, accounts, lambda _: None, is_dry_run=False)
                        for _ in range(2)
                    ]
                    ended = await asyncio.gather(*runs, return_exceptions=True)
                faults, at_once = traders.count_faults(), traders.moves_at_once(begun_s)
                groups = await read_groups(settings.kafka, accounts)
    owners = {name: one.placement.owner.instance for name, one in groups.items() if one.placement is not None}
    candidates = [Candidate(name, name) for name in ("left", "right")]
    assert {name: choose_candidate(name, candidates).instance for name in accounts} == owners
    assert [] == [one for one in ended if not isinstance(one, KafkaTrouble | None)]
    assert 1 == at_once
    assert faults["places"] == faults["accepted"] > 0
    assert 0 == faults["sent_twice"] == faults["answered_twice"]


async def test_a_command_that_dies_costs_the_time_of_a_dead_standby_and_no_order(rig: Rig) -> None:
    """Killed as soon as the owner has heard, it stays in the group until its session ends; then the account moves."""
    owner_name, chosen_name = names_for("main")
    async with replica(rig, instance=owner_name) as owner:
        await owner.until("recovery.complete")
        async with replica(rig, instance=chosen_name) as chosen, Traders(rig, ["main"]) as traders:
            await chosen.until("account.standby")
            config = rig.write_config()
            async with traders.trading(0.1):
                command_process = await start_module("bridge", "rebalance", "--config", str(config))
                await owner.until("account.handing_over")
                send_signal(command_process, signal.SIGKILL)
                await command_process.wait()
                await chosen.until("recovery.complete")
            faults = traders.count_faults()
            slowest_s = max(one.answered_s - one.sent_s for one in traders.sent.values())
    assert slowest_s < KILLED_S
    assert faults["places"] == faults["accepted"] > 0
    assert 0 == faults["sent_twice"] == faults["answered_twice"]
