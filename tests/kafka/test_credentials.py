"""A password that the brokers refuse is tried seldom, by all clients together: a directory locks users."""

import asyncio
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol import admin as protocol

from bridge.config import Kafka
from bridge.errors import ClusterUnreachable
from bridge.kafka import credentials
from bridge.kafka.cluster import client_options, find_likely_cause
from bridge.kafka.credentials import WAITS_S, CredentialGate, LoginHeldBack
from bridge.kafka.preflight import reach_cluster
from bridge.kafka.producer import ThrottledReport, connect
from bridge.kafka.rebootstrap import follow_bootstrap_servers
from bridge.kafka.tail import read_tail
from tests.witness.waiting import until

VERSIONS, HANDSHAKE, AUTHENTICATE = 18, 17, 36
REFUSED = 58


class RefusingBroker:
    """A broker that follows Kafka's protocol up to the password, and refuses it."""

    def __init__(self) -> None:
        self.passwords: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection."""
        try:
            while True:
                (size,) = struct.unpack(">i", await reader.readexactly(4))
                request = await reader.readexactly(size)
                key, version, correlation = struct.unpack_from(">hhi", request)
                answer = struct.pack(">i", correlation) + self._answer(key, version, request)
                writer.write(struct.pack(">i", len(answer)) + answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _answer(self, key: int, version: int, request: bytes) -> bytes:
        if key == VERSIONS:
            spoken = [(VERSIONS, 0, 0), (HANDSHAKE, 1, 1), (AUTHENTICATE, 0, 0)]
            return bytes(protocol.ApiVersionResponse_v0(error_code=0, api_versions=spoken).encode())
        if key == HANDSHAKE:
            return bytes(protocol.SaslHandShakeResponse_v0(error_code=0, enabled_mechanisms=["PLAIN"]).encode())
        assert (key, version) == (AUTHENTICATE, 0)
        self.passwords.append(request.rsplit(b"\0", 1)[-1])
        refusal = protocol.SaslAuthenticateResponse_v0(
            error_code=REFUSED, error_message="Authentication failed", sasl_auth_bytes=b""
        )
        return bytes(refusal.encode())


class ManualTime:
    """A clock that is moved by hand."""

    now_s = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> ManualTime:
    """Give the process another gate, on a clock of the test's."""
    made = ManualTime()
    gate = CredentialGate(made)
    monkeypatch.setattr(credentials, "credential_gate", gate)
    monkeypatch.setattr("bridge.kafka.preflight.credential_gate", gate)
    return made


@pytest.fixture
async def broker() -> AsyncIterator[tuple[RefusingBroker, str]]:
    """Run three brokers that refuse the password; they count together."""
    refusing = RefusingBroker()
    servers = [await asyncio.start_server(refusing.serve, "127.0.0.1", 0) for _ in range(3)]
    yield refusing, ",".join(f"127.0.0.1:{server.sockets[0].getsockname()[1]}" for server in servers)
    for server in servers:
        server.close()


@pytest.fixture
def kafka(broker: tuple[RefusingBroker, str], tmp_path: Path) -> Kafka:
    """Return settings with a password that is refused."""
    (tmp_path / "password").write_text("wrong-1")
    return Kafka(
        bootstrap_servers=broker[1],
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="PLAIN",
        sasl_username="ltp-bridge",
        sasl_password_file=tmp_path / "password",
    )


async def test_one_password_is_tried_once_by_all_clients(
    broker: tuple[RefusingBroker, str], kafka: Kafka, clock: ManualTime
) -> None:
    """Admin client, producer, consumer and the search for the cause, again and again at three brokers: one attempt."""
    troubles: list[str] = []
    producing = asyncio.create_task(connect(kafka, ["t"], ThrottledReport(troubles.append)))
    try:
        for _ in range(3):
            with pytest.raises(ClusterUnreachable, match="refused the password of ltp-bridge once"):
                await reach_cluster(kafka)
            with pytest.raises(ClusterUnreachable, match=r"sasl_password_file holds another"):
                await read_tail(kafka, "t", lambda _: None, since_ms=0)
        await until(lambda: bool(troubles))
        assert broker[0].passwords == [b"wrong-1"]
        assert "Authentication failed" in troubles[0]
        assert "wrong-1" not in str(troubles)
    finally:
        producing.cancel()
        await asyncio.gather(producing, return_exceptions=True)


async def test_it_is_tried_again_after_minutes_or_when_its_file_changes(
    broker: tuple[RefusingBroker, str], kafka: Kafka, clock: ManualTime
) -> None:
    """Four attempts in twelve minutes, then one in a quarter of an hour; another password is tried at once."""
    for minute in range(60):
        clock.now_s = 1000 + 60 * minute
        for _ in range(2):
            with pytest.raises(ClusterUnreachable):
                await reach_cluster(kafka)
    assert len(broker[0].passwords) <= len(WAITS_S) + 4
    assert kafka.sasl_password_file is not None
    kafka.sasl_password_file.write_text("wrong-2")
    assert "it refused" in await find_likely_cause(kafka)
    assert broker[0].passwords[-1] == b"wrong-2"


async def test_asking_the_bootstrap_servers_again_tries_no_refused_password(
    broker: tuple[RefusingBroker, str], kafka: Kafka, clock: ManualTime
) -> None:
    """A running client whose brokers are gone asks the bootstrap servers, and they have refused this password."""
    with pytest.raises(ClusterUnreachable):
        await reach_cluster(kafka)
    client = AIOKafkaClient(**client_options(kafka))
    follow_bootstrap_servers(client, kafka)
    try:
        assert not await client._metadata_update(client.cluster, [])
    finally:
        await client.close()
    assert broker[0].passwords == [b"wrong-1"]


async def test_unproven_credentials_are_tried_one_at_a_time() -> None:
    """What all wait for is tried by one; a success lets them all through side by side."""
    clock = ManualTime()
    gate = CredentialGate(clock)
    me = ("user", "password")
    trying: list[int] = []

    async def try_once(number: int) -> None:
        async with gate.wait_for_turn(me):
            trying.append(number)
            gate.note_refusal(me, "no")

    outcomes = await asyncio.gather(*(try_once(number) for number in range(5)), return_exceptions=True)
    assert len(trying) == 1
    assert sum(isinstance(outcome, LoginHeldBack) for outcome in outcomes) == 4
    assert "refused the password of user once (no); it is tried again in 15 s" in str(gate.describe_refusal())
    clock.now_s += WAITS_S[0]
    assert gate.describe_refusal() is None
    await asyncio.gather(*(try_once(number) for number in range(5)), return_exceptions=True)
    assert "2 times (no); it is tried again in 120 s" in str(gate.describe_refusal())
    assert len(trying) == 2
    gate.note_success(me)
    assert gate.describe_refusal() is None
    async with gate.wait_for_turn(me), gate.wait_for_turn(me):
        pass


def test_a_password_that_was_replaced_is_no_reason_any_more() -> None:
    """A client that still has the old one may be refused it, while the one in the file works."""
    gate = CredentialGate(ManualTime())
    gate.note_success(("user", "old"))
    gate.note_refusal(("user", "old"), "no")
    gate.note_refusal(("other", "password"), "no")
    gate.note_success(("user", "new"))
    assert "password of other" in str(gate.describe_refusal())
    gate.note_success(("other", "password"))
    assert gate.describe_refusal() is None
    gate.note_refusal(("user", "new"), "no")
    assert "password of user" in str(gate.describe_refusal())
