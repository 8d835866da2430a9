"""Where in the daemon the steps of plan.py are: which method of which class begins or ends there."""

import asyncio
import json
import os
from collections.abc import Sequence
from functools import partial
from typing import Any

from bridge.contract.commands import CANCEL
from bridge.contract.topics import Stream
from bridge.core.ack_window import AckWindow
from bridge.core.commands.command import TrackedCommand
from bridge.core.commands.command_table import CommandTable
from bridge.core.commands.dispatch import Commit, Dispatcher
from bridge.core.commands.intake import CommandIntake
from bridge.core.commands.results import Results
from bridge.core.commands.states import CommandState
from bridge.core.commands.takeover_status import TakeoverStatus
from bridge.core.in_flight.bridge_cancels import BridgeCancels
from bridge.core.in_flight.requests import InFlightRequests
from bridge.core.in_flight.unknown_commands import UnknownCommands
from bridge.core.records import Answer, CommandRecord, OutgoingRecord
from bridge.flow.status_queries import StatusQueries
from bridge.flow.takeover import AccountTakeover
from bridge.flow.venue_listener import VenueListener
from bridge.kafka import aiokafka_internals
from bridge.kafka.membership import Membership
from bridge.kafka.publisher import Publisher
from bridge.kafka.record_sender import RecordSender
from bridge.kafka.topic_queue import SequencedRecord, TopicQueue
from bridge.ltp.session import Session
from tests.crash.death import Death, command_id_of, wrap

_HELD_S = 1.5
"""More than a `commit_period_s`, with every setting."""
_MIDWAY = 2
"""The command of a takeover's reading after which it dies."""


def watch(death: Death) -> None:
    """Let every step of this process see whether it is the one to die at."""
    _reading(death)
    _claiming(death)
    _writing(death)
    _cancelling_singly(death)
    _answering(death)
    _taking_over(death)


def _reading(death: Death) -> None:
    def polled(records: list[CommandRecord], *_: object) -> None:
        for record in records:
            death.at("polled", command_id_of(record.value))

    def offered(_: object, record: CommandRecord, *__: object, **___: object) -> None:
        command_id = command_id_of(record.value)
        if isinstance(command_id, str) and death.is_target(command_id):
            death.offsets[record.offset] = command_id

    def queued(_: object, __: object, command: TrackedCommand) -> None:
        death.at("queued", command.command_id)
        if command.action == CANCEL and death.is_target(command.command_id):
            death.cancels.add(command.command_id)

    def slot(taken: bool, _: object, token: object, *__: object, **___: object) -> None:  # noqa: FBT001 - what the method returns
        offset = token[0] if isinstance(token, tuple) else token
        if taken and isinstance(offset, int):
            death.at("slot", death.offsets.get(offset))

    wrap(Membership, "poll", after=polled)
    wrap(CommandIntake, "offer", before=offered)
    wrap(CommandTable, "queue", before=lambda _, command: death.at("checked", command.command_id), after=queued)
    wrap(AckWindow, "acquire", after=slot)


def _claiming(death: Death) -> None:
    """Follow the commits. A cancel needs no claim: for it, the claim is whatever commit comes once it is queued."""
    claiming: list[str] = []

    def formed(commit: Commit | None, *_: object, **__: object) -> None:
        if commit is None:
            return
        claiming[:] = [command.command_id for command in commit.claimed] + sorted(death.cancels)
        for command_id in claiming:
            death.at("claim.formed", command_id)
        for offset, command_id in death.offsets.items():
            if offset < commit.offset:
                death.at("done.formed", command_id)

    def known(stored: list[TrackedCommand], *_: object) -> None:
        for command_id in [command.command_id for command in stored] + sorted(death.cancels):
            death.at("claim.known", command_id)

    wrap(Dispatcher, "next_commit", after=formed)
    wrap(Dispatcher, "commit_acked", after=known)
    _committing(death, claiming)


def _committing(death: Death, claiming: list[str]) -> None:
    original = aiokafka_internals.commit_in_generation

    async def commit(consumer: Any, generation: Any, partition: Any, offset: int, metadata: str) -> None:  # noqa: ANN401
        attempt = partial(original, consumer, generation, partition, offset, metadata)
        for command_id in claiming:
            if death.is_due("claim.written", command_id):
                on_its_way = asyncio.ensure_future(attempt())
                await _some_turns()
                death.die("claim.written", command_id)
                await on_its_way
        await attempt()
        for command_id in claiming:
            death.at("claim.stored", command_id)
        for below, command_id in death.offsets.items():
            if below < offset:
                death.at("done.stored", command_id)

    aiokafka_internals.commit_in_generation = commit


async def _some_turns() -> None:
    """Let the loop run for a moment that differs from process to process: more or less has then been written."""
    for _ in range(os.getpid() % 8):
        await asyncio.sleep(0)


def _writing(death: Death) -> None:
    def passed(may_go: bool, _: object, command: TrackedCommand, *__: object, **___: object) -> None:  # noqa: FBT001
        if may_go:
            death.at("gate", command.command_id)

    def picked(command: TrackedCommand | None, *_: object, **__: object) -> None:
        if command is not None:
            death.at("gate", command.command_id)

    def named(request_id: str, _: object, command: TrackedCommand, __: object) -> None:
        if death.is_target(command.command_id):
            death.requests[request_id] = command.command_id

    def about(frame: bytes) -> str | None:
        return death.requests.get(json.loads(frame).get("id"))

    def repeating(_: object, frame: bytes) -> None:
        death.at("unwritten", about(frame))
        if about(frame) in death.cancels:
            death.in_takeover("takeover.doubt")  # a cancel in doubt is settled by asking for it again

    wrap(Dispatcher, "pass_gate", after=passed)
    wrap(Dispatcher, "next_cancel", after=picked)
    wrap(Dispatcher, "next_repeat", after=picked)
    wrap(Dispatcher, "mark_written", after=named)
    wrap(Session, "send", before=repeating, after=lambda _, __, frame: death.at("written", about(frame)))


def _cancelling_singly(death: Death) -> None:
    """Take the single cancels for a cancel_orders for its request, and their answers for its answer."""

    def begun(_: object, cancel_all: TrackedCommand, __: object) -> None:
        death.begun = cancel_all.command_id if death.is_target(cancel_all.command_id) else None

    def own(request: tuple[str, dict[str, str]] | None, *_: object) -> None:
        if request is not None and death.begun is not None:
            death.requests[request[0]] = death.begun

    wrap(Dispatcher, "begin_single_cancels", before=begun)
    wrap(BridgeCancels, "next_request", after=own)


def _ended(record: OutgoingRecord) -> str | None:
    """Return the commandId of a terminal result."""
    if record.stream is not Stream.RESULTS or record.value is None:
        return None
    said = json.loads(record.value)
    command_id = said.get("commandId")
    return command_id if isinstance(command_id, str) and said["outcome"] != "unknown" else None


def _answering(death: Death) -> None:
    def answered(_: object, answer: Answer, __: object) -> None:
        death.at("answered", death.requests.get(answer.request_id or ""))

    def doubted(_: object, command: TrackedCommand, *__: object, **___: object) -> None:
        death.at("answered", command.command_id)

    publish, send = Publisher.publish, RecordSender._send_batch

    def said(self: Publisher, record: OutgoingRecord) -> None:
        publish(self, record)
        death.at("result.said", _ended(record))

    def acknowledged(_: object, __: object, records: Sequence[SequencedRecord]) -> None:
        for sequenced in records:
            death.at("result.durable", _ended(sequenced.record))

    async def produced(self: RecordSender, queue: TopicQueue) -> None:
        waiting = [_ended(sequenced.record) for sequenced in queue.waiting]
        for command_id in waiting:
            if death.is_due("result.held", command_id):
                await asyncio.sleep(_HELD_S)  # as with a broker that is slow to take it
                death.die("result.held", command_id)
        await send(self, queue)
        for command_id in waiting:
            if death.is_due("result.produced", command_id):
                await _some_turns()
                death.die("result.produced", command_id)

    wrap(InFlightRequests, "on_ack", before=answered)
    wrap(BridgeCancels, "on_ack", before=answered)
    wrap(Results, "publish_unknown", before=doubted)
    wrap(RecordSender, "_report_durable", before=acknowledged)
    Publisher.publish = said  # type: ignore[method-assign] # that is what this file is for
    RecordSender._send_batch = produced  # type: ignore[method-assign] # as above


def _taking_over(death: Death) -> None:
    read = 0

    def begun(*_: object) -> None:
        nonlocal read
        read = 0
        death.in_takeover("takeover.epoch")

    def offered(*args: object, **kwargs: object) -> None:
        nonlocal read
        if TakeoverStatus.NEW not in (*args, *kwargs.values()) and any(
            isinstance(one, TakeoverStatus) for one in (*args, *kwargs.values())
        ):
            read += 1
            if read >= _MIDWAY:
                death.in_takeover("takeover.commands")

    def settling(_: object, command: TrackedCommand, *__: object, **___: object) -> None:
        if command.state is CommandState.UNKNOWN:
            death.in_takeover("takeover.doubt")  # what the topics held was enough; nobody had to be asked

    def at(step: str) -> Any:  # noqa: ANN401 - a look that takes whatever comes
        return lambda *_, **__: death.in_takeover(step)

    wrap(Membership, "committed", after=at("takeover.offset"))
    wrap(Membership, "set_epoch", before=begun)
    wrap(AccountTakeover, "_make_durable", after=at("takeover.record"))
    wrap(AccountTakeover, "_read_answers", after=at("takeover.results"))
    wrap(CommandIntake, "offer", after=offered)
    wrap(VenueListener, "logged_in", before=at("takeover.login"))
    wrap(StatusQueries, "_ask_by_kind", before=at("takeover.doubt"))
    wrap(UnknownCommands, "settle", before=settling)
