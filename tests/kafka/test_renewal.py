"""A producer that is renewed: its states."""

import pytest

from bridge.config import Kafka
from bridge.kafka.producer import ThrottledReport
from bridge.kafka.renewal import TRANSITIONS, ProducerState, RenewableProducer
from bridge.kafka.retry_wait import RetryWait


def test_every_state_can_be_left_and_no_renewal_is_skipped() -> None:
    """A producer that is of no more use is live again only after another one was made."""
    assert set(TRANSITIONS) == set(ProducerState)
    assert TRANSITIONS[ProducerState.LIVE] == {ProducerState.RENEWING}
    assert ProducerState.LIVE not in TRANSITIONS[ProducerState.RENEWING]


async def test_a_producer_goes_through_its_states(kafka: Kafka) -> None:
    """Connecting, live, renewing; and live again, as the next epoch of the same id."""
    producer = RenewableProducer(kafka, (), ThrottledReport(print))
    states = [producer.state]
    try:
        await producer.connect()
        states.append(producer.state)
        first = producer._identity
        with pytest.raises(RuntimeError, match="from LIVE to CONNECTING"):
            await producer.connect()
        producer.require_renewal()
        states.append(producer.state)
        await producer.end()
        await producer.connect()
        states.append(producer.state)
    finally:
        await producer.end()
    assert states == [ProducerState.CONNECTING, ProducerState.LIVE, ProducerState.RENEWING, ProducerState.LIVE]
    assert first is not None
    assert producer._identity == first.successor()
    assert (producer.renewals, producer.current) == (1, None)


def test_waits_double_up_to_the_last() -> None:
    """Until a try was of use."""
    wait = RetryWait(0.5, 3.0)
    assert [wait.next_s() for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    wait.reset()
    assert wait.next_s() == 0.5
