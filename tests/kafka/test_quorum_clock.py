"""The controller's clock, read from a real cluster."""

from bridge import account_parts
from bridge.config import Kafka
from bridge.kafka import aiokafka_internals
from bridge.kafka.preflight import reach_cluster
from bridge.kafka.quorum_clock import read_controller_clock


async def test_the_controllers_clock_is_read(kafka: Kafka) -> None:
    """It is this machine's own here, so the reading holds what this machine's clock says."""
    admin = await reach_cluster(kafka)
    try:
        found = await read_controller_clock(admin)
    finally:
        await aiokafka_internals.close_admin(admin)
    assert found is not None
    skew = found.reading.skew(account_parts.clock())
    assert skew.within(10)
    assert skew.low_ms <= 1
    assert skew.high_ms >= -1
