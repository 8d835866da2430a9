"""The id and epoch of an idempotent producer, by which its successor shuts it out (KIP-360).

Written against aiokafka 0.14, which has no public way to read or to set them.
"""
# ruff: noqa: SLF001 - as in kafka/aiokafka_internals.py

from typing import Final, NamedTuple

from aiokafka import AIOKafkaProducer

_EPOCH_MAX: Final = 2**15 - 1


class ProducerIdentity(NamedTuple):
    """The id that a broker gave to a producer, and the epoch under this id."""

    producer_id: int
    epoch: int

    def successor(self) -> "ProducerIdentity | None":
        """Return the next epoch of the id, which shuts this one out; None after the last epoch."""
        return self._replace(epoch=self.epoch + 1) if self.epoch < _EPOCH_MAX else None


def identity_of(producer: AIOKafkaProducer) -> ProducerIdentity:
    """Return the id and epoch of a started producer."""
    manager = producer._txn_manager
    return ProducerIdentity(manager.producer_id, manager.producer_epoch)


def take_identity(producer: AIOKafkaProducer, identity: ProducerIdentity) -> None:
    """Give id and epoch to a producer that is not started yet; it will ask no broker for an id."""
    producer._txn_manager.set_pid_and_epoch(identity.producer_id, identity.epoch)
