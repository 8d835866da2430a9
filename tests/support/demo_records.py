"""Pushes, records and addresses for the tests of the demo."""

from pathlib import Path

from bridge.contract.topics import Stream
from bridge.sandbox.demo.readers import ReadRecord
from bridge.sandbox.demo.second_terminal import SecondTerminal
from bridge.sandbox.venue.ledger import VenuePush

PORTFOLIO = "1000000000000001"
RUNNING = SecondTerminal(
    page_url="http://127.0.0.1:9090/",
    bootstrap_servers="127.0.0.1:9092",
    topic_prefix="ltp",
    account="main",
    is_only_account=True,
    config=Path("/tmp/a folder/bridge.toml"),  # noqa: S108 - never opened
)


def make_push(channel: str, key: str, payload: bytes, identity: str = "") -> VenuePush:
    """Return a push of the ledger."""
    name = identity or f"{key}:{payload.decode()}"
    return VenuePush(portfolio_id=PORTFOLIO, channel=channel, key=key, identity=name, payload=payload, frame=payload)


def read_record(
    stream: Stream,
    key: str,
    value: bytes,
    number: int = 1,
    ce_id: str = "",
    *,
    read_monotonic_s: float = 0,
    timestamp_ms: int = 0,
) -> ReadRecord:
    """Return a record of a reader, at the offset of its sequence."""
    headers = {
        "ce_id": (ce_id or f"{stream}:{number}").encode(),
        "ce_epoch": b"1",
        "ce_sequence": str(number).zfill(20).encode(),
    }
    return ReadRecord(
        stream=stream,
        key=key.encode(),
        value=value,
        headers=headers,
        timestamp_ms=timestamp_ms,
        read_monotonic_s=read_monotonic_s,
        offset=number,
    )
