"""Fixtures of this folder: those of the Kafka room for settings, topics and records on the real broker of the run."""

from tests.kafka.conftest import kafka, make_topics, write

__all__ = ["kafka", "make_topics", "write"]
