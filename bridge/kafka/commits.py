"""Commits: one at a time, each of one generation, each with an answer or the end of the term."""

import asyncio

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka import errors as kafka_errors

from bridge.config import Kafka
from bridge.contract.topics import Stream
from bridge.errors import CommitInterrupted, KafkaTrouble, TermEnded
from bridge.kafka import aiokafka_internals
from bridge.kafka.grants import Operation, report_missing, report_refused_group


class FencedCommitter:
    """Sends one commit at a time, and refuses the next one while an earlier one may still arrive."""

    def __init__(self, consumer: AIOKafkaConsumer, partition: TopicPartition, kafka: Kafka, group: str) -> None:
        self._consumer = consumer
        self._partition = partition
        self._kafka = kafka
        self._group = group
        self._attempt: asyncio.Task[None] | None = None
        self._interrupted = False
        self._unanswered: aiokafka_internals.Generation | None = None

    async def commit(
        self, generation: aiokafka_internals.Generation, offset: int, metadata: str, timeout_s: float
    ) -> None:
        """Commit once. Returns and raises what `Membership.commit` does."""
        if self._attempt is not None:
            raise RuntimeError("a commit is already in flight; commits are made one at a time")
        if self._unanswered == generation:
            raise TermEnded("an earlier commit was never answered and may still arrive; leave the group and join again")
        attempt = self._attempt = asyncio.create_task(
            aiokafka_internals.commit_in_generation(self._consumer, generation, self._partition, offset, metadata),
            name=f"commit {self._partition.topic}",
        )
        self._interrupted = False
        try:
            await asyncio.wait({attempt}, timeout=timeout_s)
        finally:
            self._attempt = None
            if not attempt.done():  # timed out, or the caller was cancelled: the request may still arrive
                self._unanswered = generation
                attempt.cancel()
        if not attempt.done():
            raise TermEnded(f"the commit was not acknowledged within {timeout_s:g} s and may still arrive")
        self._raise_for_failure(attempt, generation)

    def _raise_for_failure(self, attempt: asyncio.Task[None], generation: aiokafka_internals.Generation) -> None:
        if attempt.cancelled():
            self._unanswered = generation  # a follower that joins a quiet group again keeps its generation
            if self._interrupted:
                raise CommitInterrupted("a rebalance ended the commit")
            raise TermEnded("the commit was cut off and may still arrive")
        error = attempt.exception()
        if error is None:
            return
        if isinstance(error, kafka_errors.RebalanceInProgressError):
            aiokafka_internals.request_rejoin(self._consumer)
            raise CommitInterrupted("the group is rebalancing; the commit was not stored") from error
        if isinstance(error, kafka_errors.UnknownMemberIdError | kafka_errors.IllegalGenerationError):
            raise TermEnded(f"the coordinator no longer knows this member ({type(error).__name__})") from error
        if isinstance(error, kafka_errors.OffsetMetadataTooLargeError | kafka_errors.InvalidCommitOffsetSizeError):
            raise KafkaTrouble(
                "the claims do not fit into the commit's metadata; set the broker's offset.metadata.max.bytes "
                "to 4096 or more"
            ) from error
        if isinstance(error, kafka_errors.GroupAuthorizationFailedError):
            raise KafkaTrouble(report_refused_group(self._kafka, self._group).sentence) from error
        if isinstance(error, kafka_errors.TopicAuthorizationFailedError):
            missing = report_missing(self._kafka, self._partition.topic, Stream.COMMANDS, [Operation.READ])
            raise KafkaTrouble(missing.sentence) from error
        self._unanswered = generation
        raise TermEnded(f"the commit has no answer and may still arrive: {error!r}") from error

    async def interrupt(self) -> None:
        """End the attempt in flight and return when it has ended."""
        attempt = self._attempt
        if attempt is not None and not attempt.done():
            self._interrupted = True
            attempt.cancel()
            await asyncio.wait({attempt})
