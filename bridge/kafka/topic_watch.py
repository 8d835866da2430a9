"""Watching the topics of one account: whether each exists, is the same one, and grants us what we need.

A topic that was deleted is created again where `kafka.create_topics` allows it, as at the start; the settings of one
that a person or a broker created again are corrected. Where it is not allowed, the problem is reported until a person
has solved it.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import structlog
from aiokafka import errors as kafka_errors
from aiokafka.admin import AIOKafkaAdminClient
from msgspec import structs

from bridge.config import Kafka, Timing
from bridge.contract.topics import Stream, topic_name
from bridge.core.topic_losses import LostTopic, MissingGrant
from bridge.errors import BridgeError
from bridge.kafka import aiokafka_internals
from bridge.kafka.cluster import NO_ANSWER
from bridge.kafka.grants import Operation, find_missing_on_topic, report_missing
from bridge.kafka.preflight import reach_cluster
from bridge.kafka.topic_making import TopicConfigs, alter_configs, create_topics, describe_when_led, read_configs
from bridge.kafka.topic_metadata import TopicMetadata, describe_topics
from bridge.kafka.topic_rules import (
    Topic,
    command_that_creates,
    find_mending_configs,
    find_problems,
    takes_every_record,
)

_PERIOD_S: Final = 5.0
_SOON_S: Final = 1.0
"""The period while something is wrong; a topic counts as gone when two checks do not find it."""
_REPORT_WITHIN_S: Final = 60.0
"""A loss that was mended that long ago and was not reported by us has been reported by another owner."""
_MISSING: Final = kafka_errors.UnknownTopicOrPartitionError

log = structlog.get_logger(__name__)


def _read_wall_ms() -> int:
    return time.time_ns() // 1_000_000


class TopicWatch:
    """Checks an account's topics every few seconds, and sooner while one is missing or not as it must be.

    `on_unwritable` is called after each check with the topics to which nothing can be written, and why.
    """

    def __init__(
        self, kafka: Kafka, timing: Timing, account: str, *, on_unwritable: Callable[[Mapping[str, str]], None]
    ) -> None:
        self._kafka = kafka
        self._timing = timing
        self._account = account
        self._on_unwritable = on_unwritable
        self._streams = {topic_name(kafka.topic_prefix, account, stream): stream for stream in Stream}
        self._ids: dict[str, str] = {}
        self._former_ids: set[str] = set()
        self._absent: set[str] = set()
        self._gone: set[str] = set()
        self._lost: dict[str, LostTopic] = {}
        self._unfit: set[str] = set()
        """Those of the lost topics that would not take every record, or would have to be deleted again."""
        self._mended_monotonic_s: dict[str, float] = {}
        self._grants: dict[str, MissingGrant] = {}
        self._unwritable: dict[str, str] = {}
        self._admin: AIOKafkaAdminClient | None = None
        self.has_lost = False
        """Whether a topic was ever lost: it may have held records that the new topic does not hold."""

    def lost_topics(self) -> list[LostTopic]:
        """Return the topics that were lost, the mended ones too until `mark_reported` is called with them."""
        return list(self._lost.values())

    def missing_grants(self) -> list[MissingGrant]:
        """Return what this principal may not do with a topic, and must."""
        return list(self._grants.values())

    def mark_reported(self, topic: str) -> None:
        """Note that the loss of a topic, which is mended, has been reported completely."""
        if topic in self._lost and not self._lost[topic].problem:
            del self._lost[topic]

    async def run(self) -> None:
        """Check until cancelled. While no broker answers, nothing counts as changed."""
        try:
            while True:
                try:
                    await self._check_topics()
                except (*NO_ANSWER, BridgeError) as error:
                    log.debug("topics.unwatched", account=self._account, reason=repr(error))
                    await self._close()
                except Exception:  # a mistake must not end the watch, which would be noticed nowhere
                    log.exception("topics.look_failed", account=self._account)
                    await self._close()
                is_urgent = bool(self._absent) or any(one.problem for one in self._lost.values())
                await asyncio.sleep(_SOON_S if is_urgent else _PERIOD_S)
        finally:
            await self._close()

    async def _close(self) -> None:
        admin, self._admin = self._admin, None
        if admin is not None:
            await aiokafka_internals.close_admin(admin)

    async def _check_topics(self) -> None:
        if self._admin is None:
            self._admin = await reach_cluster(self._kafka)
        found = await describe_topics(aiokafka_internals.client_of(self._admin), self._streams)
        absent = {topic for topic, one in found.items() if one.error is _MISSING}
        gone, self._absent = absent & self._absent, absent
        for topic in gone:
            self._note_absence(topic)
        self._gone |= gone
        if gone and self._kafka.create_topics:
            found = await self._create_topics(self._admin, gone)
        for topic, one in found.items():
            if one.is_led:
                self._note_id(topic, one.id)
        await self._mend_topics(self._admin, found)
        self._note_grants(found)
        self._forget_mended()
        self._report_unwritable(self._unfit | gone & {topic for topic, one in found.items() if not one.is_led})

    def _note_loss(self, topic: str, problem: str) -> None:
        before = self._lost.get(topic)
        since_ms = before.since_ms if before is not None and before.problem else _read_wall_ms()
        if before is None or not before.problem:
            log.error("topic.lost", topic=topic, detail=problem)
        self._lost[topic], self.has_lost = LostTopic(topic, self._streams[topic], since_ms, problem), True
        self._mended_monotonic_s.pop(topic, None)

    def _note_absence(self, topic: str) -> None:
        command = command_that_creates(topic, self._streams[topic], self._kafka, self._timing)
        self._note_loss(topic, f"{topic} does not exist any more; make it again: {command}")

    async def _create_topics(self, admin: AIOKafkaAdminClient, gone: Iterable[str]) -> dict[str, TopicMetadata]:
        wanted = {topic: self._streams[topic] for topic in gone}
        problems = await create_topics(admin, self._kafka, self._timing, wanted)
        for topic, problem in problems.items():
            self._note_loss(topic, f"it does not exist any more; {problem.sentence}")
        made = wanted.keys() - problems.keys()
        found = await describe_when_led(admin, self._streams, made)
        self._absent -= {topic for topic in made if found[topic].is_led}
        return found

    def _note_id(self, topic: str, topic_id: str) -> None:
        """Note the id of the topic of a name: a topic with another id is empty, however soon it was created again."""
        if topic_id in self._former_ids:
            return  # from a broker that does not know the new topic yet
        before, self._ids[topic] = self._ids.get(topic, ""), topic_id
        if before and before != topic_id:
            self._former_ids.add(before)
        is_same = bool(topic_id) and before == topic_id
        if topic in self._gone:
            self._gone.discard(topic)
            self._lost[topic] = structs.replace(self._lost[topic], is_empty=not is_same)
        elif before and not is_same:
            self._note_loss(topic, f"{topic} was deleted and made again")

    async def _mend_topics(self, admin: AIOKafkaAdminClient, found: Mapping[str, TopicMetadata]) -> None:
        """Check the lost topics that exist again, and correct their settings where that is allowed."""
        there = [topic for topic, one in self._lost.items() if one.problem and found[topic].is_led]
        # A topic whose settings may not be read is reported as a missing grant.
        configs, _ = await read_configs(admin, there)
        self._unfit = set()
        for topic in there:
            problem = ""
            if topic in configs:
                one = Topic(topic, self._streams[topic], found[topic].replicas)
                if not takes_every_record(one, configs[topic].values):
                    self._unfit.add(topic)
                problem = await self._mend_settings(admin, one, configs[topic])
            self._lost[topic] = structs.replace(self._lost[topic], problem=problem)
            if not problem:
                self._mended_monotonic_s[topic] = time.monotonic()
                log.warning("topic.mended", topic=topic)

    async def _mend_settings(self, admin: AIOKafkaAdminClient, topic: Topic, configs: TopicConfigs) -> str:
        """Return what is wrong with a topic; where topics may be created, correct its settings for the next check."""
        problems = find_problems(topic, configs.values, self._kafka, self._timing)
        wrong = [problem.sentence for problem in problems]
        if wrong and self._kafka.create_topics:
            settings = find_mending_configs(topic, configs.values, configs.own, self._kafka, self._timing)
            why = await alter_configs(admin, topic.name, settings) if settings else None
            if why is not None:
                wrong.append(f"the bridge may not set it by itself ({why})")
        return "; ".join(wrong)

    def _note_grants(self, found: Mapping[str, TopicMetadata]) -> None:
        before, self._grants, self._unwritable = self._grants, {}, {}
        for topic, one in found.items():
            stream = self._streams[topic]
            missing = find_missing_on_topic(one, stream)
            if not missing:
                continue
            detail = report_missing(self._kafka, topic, stream, missing).sentence
            since_ms = before[topic].since_ms if topic in before else _read_wall_ms()
            self._grants[topic] = MissingGrant(topic, since_ms, detail)
            if Operation.WRITE in missing:
                self._unwritable[topic] = detail
        for topic in self._grants.keys() - before.keys():
            log.error("grant.missing", topic=topic, detail=self._grants[topic].detail)
        for topic in before.keys() - self._grants.keys():
            log.info("grant.given", topic=topic)

    def _forget_mended(self) -> None:
        for topic, mended_monotonic_s in list(self._mended_monotonic_s.items()):
            if mended_monotonic_s < time.monotonic() - _REPORT_WITHIN_S:
                del self._mended_monotonic_s[topic]
                self.mark_reported(topic)

    def _report_unwritable(self, lost: Iterable[str]) -> None:
        self._on_unwritable({**self._unwritable, **{topic: self._lost[topic].problem for topic in lost}})
