"""The real parts of one account, made to fit what flow asks for."""

import asyncio
import gc
import random
import time
from collections.abc import Awaitable, Callable, Sequence

import structlog
from msgspec import structs

from bridge.admin.account_report import AccountReport
from bridge.admin.health import AccountHealth, MissingPart
from bridge.config import AccountConfig, Settings
from bridge.contract.topics import Stream, topic_name
from bridge.core.account import Account
from bridge.core.commands.claims import key_fingerprint
from bridge.core.now import Now
from bridge.core.records import CommandRecord, OutgoingRecord
from bridge.core.session_listener import SessionListener
from bridge.errors import BridgeError
from bridge.flow import ports
from bridge.flow.dependencies import SupervisorDependencies, TakeoverDependencies, TermDependencies
from bridge.flow.result_log import ResultLog
from bridge.flow.supervisor import AccountSupervisor
from bridge.flow.takeover import AccountTakeover
from bridge.flow.topic_replay import TopicReplay
from bridge.flow.whose_account import Identity
from bridge.kafka.credentials import credential_gate
from bridge.kafka.membership import Membership
from bridge.kafka.publisher import Publisher
from bridge.kafka.record_sender import PublisherCallbacks, log_oversize
from bridge.kafka.tail import TailRecord, read_commands, read_last, read_tail
from bridge.kafka.topic_watch import TopicWatch
from bridge.ltp.failover import EndpointSelector
from bridge.ltp.network import load_network_settings
from bridge.ltp.rest import RestClient
from bridge.ltp.session import Session, SessionSettings
from bridge.ltp.wire import encode_action
from bridge.metrics import AccountMetrics

_random = random.SystemRandom().random
_PUBLISHER_SHARE = 0.1
"""The part of the time to stop that a publisher has to send what is left."""


def clock() -> Now:
    """Read both clocks. The steady one counts suspend, so that a machine that slept finds its leases over."""
    return Now(time.clock_gettime(time.CLOCK_BOOTTIME), time.time_ns() // 1_000_000)


class AccountParts:
    """The parts of one account in this process: publisher, topics, REST and sessions, and what keeps them going."""

    def __init__(
        self,
        name: str,
        account: AccountConfig,
        settings: Settings,
        instance: str,
        callbacks: PublisherCallbacks,
        *,
        metrics: AccountMetrics,
    ) -> None:
        self._name = name
        self._account = account
        self._settings = settings
        self._instance = instance
        self._metrics = metrics
        self._network = load_network_settings(settings.venue)
        self._rest = RestClient(settings.endpoints, account, clock, self._network)
        self._endpoints = EndpointSelector(settings.endpoints, settings.timing)
        self._started = self._was_owner = False
        self._last_session: Session | None = None
        self.publisher = Publisher(
            settings.kafka,
            environment=settings.environment,
            account=name,
            buffer_bytes_max=settings.limits.event_buffer_bytes_max,
            pause_bytes=settings.limits.event_buffer_pause_bytes,
            callbacks=structs.replace(callbacks, on_batch=metrics.note_batch, on_oversize=self._report_oversize),
        )
        self._result_log = ResultLog(name, self.publisher, metrics)
        timing = settings.timing
        self.topics = TopicWatch(settings.kafka, timing, name, on_unwritable=self.publisher.note_unwritable)
        self.flow = AccountSupervisor(
            name,
            instance,
            SupervisorDependencies(
                start=self._start_publisher,
                join=self._make_membership,
                take_over=self._take_over,
                new_term=self._collect_dependencies,
                topics=self.topics,
                key_changed=self._wait_for_new_key,
                describe_refusal=credential_gate.describe_refusal,
                random=_random,
                clock=clock,
            ),
            session_timeout_s=timing.session_timeout_s,
            stop_deadline_s=timing.stop_deadline_s,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Run the account until `stop` is set or it has to be given up, then end its publisher."""
        # Every task of the account inherits it: so all lines of the account say whose they are.
        structlog.contextvars.bind_contextvars(account=self._name)
        async with self._rest:
            watching = asyncio.create_task(self.topics.run(), name=f"topics:{self._name}")
            try:
                await self.flow.run(stop)
            finally:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
                await self.publisher.stop(self._settings.timing.stop_deadline_s * _PUBLISHER_SHARE)

    def read_report(self) -> AccountReport:
        """Return how the account is in this process at this moment."""
        flow, publisher, term = self.flow, self.publisher, self.flow.read_status()
        missing = [MissingPart(one.what, one.since_ms, one.detail) for one in flow.find_missing()]
        return AccountReport(
            name=flow.name,
            health=AccountHealth(not missing, flow.phase.value, flow.describe(), missing),
            status=term.account if term is not None else None,
            endpoint=term.endpoint if term is not None else "",
            logged_in_ms=term.logged_in_ms if term is not None else 0,
            pending_bytes=publisher.pending_bytes,
            buffer_bytes_max=self._settings.limits.event_buffer_bytes_max,
            oldest_wait_s=publisher.oldest_wait_s,
            renewals=publisher.renewals,
            late_landing_s=self._settings.timing.late_landing_s,
            last_results=list(self._result_log.last),
            last_alarms=list(self._metrics.last_alarms),
            latencies=self._metrics.latencies,
        )

    def _report_oversize(self, record: OutgoingRecord) -> None:
        log_oversize(record)
        self.flow.record_too_large(record)

    async def _start_publisher(self) -> None:
        if not self._started:
            await self.publisher.start()
            self._started = True

    def _make_membership(self, wake: Callable[[], None]) -> Membership:
        def count_and_wake() -> None:
            self._metrics.note_rebalance()
            wake()

        return Membership(
            self._settings.kafka,
            self._settings.timing,
            self._name,
            self._instance,
            on_revoked=wake,
            on_assigned=count_and_wake,
        )

    def _new_replay(self) -> TopicReplay:
        return TopicReplay(self._settings.kafka.topic_prefix, self._name, self._read_tail, self._read_last)

    async def _read_tail(self, topic: str, since_ms: int, take: Callable[[list[TailRecord]], None]) -> None:
        await read_tail(self._settings.kafka, topic, take, since_ms=since_ms)

    async def _read_last(self, topic: str, take: Callable[[list[TailRecord]], None]) -> int:
        return await read_last(self._settings.kafka, topic, take)

    async def _read_holdings(self) -> list[bytes]:
        """Return the balances and positions that the venue shows to the account's API key."""
        lists = (self._rest.fetch_assets(), self._rest.fetch_positions())
        return [row for told in lists async for rows in told for row in rows]

    def _key_fingerprint(self) -> str:
        """Return a digest of the API key that is in its file now; empty where it cannot be read at this moment."""
        try:
            return key_fingerprint(self._account.api_key.get_secret_value())
        except (OSError, ValueError, BridgeError):
            return ""

    async def _take_over(self, membership: ports.Membership) -> Account:
        if self._was_owner:
            gc.unfreeze()
            gc.collect()  # the term before this one
        since = self._account.executions_since
        gc.disable()  # an hour of results stays for an hour; looking through it again and again would only cost time
        try:
            parts = TakeoverDependencies(
                prefix=self._settings.kafka.topic_prefix,
                limits=self._settings.limits,
                timing=self._settings.timing,
                result_log=self._result_log,
                identity=Identity(self._settings.environment, self._key_fingerprint(), self._read_holdings),
                membership=membership,
                publisher=self.publisher,
                topics=self._new_replay(),
                clock=clock,
                metrics=self._metrics,
                executions_since_ms=None if since is None else int(since.timestamp() * 1000),
                commit_timeout_s=self._settings.timing.session_timeout_s,
                was_owned=self._was_owner or self.topics.has_lost,
            )
            account = await AccountTakeover(self._name, self._instance, parts).run()
        finally:
            gc.enable()
        self._was_owner = True
        gc.freeze()
        return account

    def _collect_dependencies(self, membership: ports.Membership) -> TermDependencies:
        return TermDependencies(
            membership=membership,
            publisher=self.publisher,
            rest=self._rest,
            open_session=self._open_session,
            encode=encode_action,
            clock=clock,
            key_fingerprint=self._key_fingerprint,
            read_commands=self._read_commands,
            topics=self._new_replay(),
            result_log=self._result_log,
            topic_watch=self.topics,
            metrics=self._metrics,
        )

    async def _read_commands(
        self, begin: int, end: int, take: Callable[[Sequence[CommandRecord]], Awaitable[None]]
    ) -> None:
        topic = topic_name(self._settings.kafka.topic_prefix, self._name, Stream.COMMANDS)
        await read_commands(self._settings.kafka, topic, begin, end, take)

    def _open_session(self, listener: SessionListener, other_login_boot_s: float) -> Session:
        settings = SessionSettings(
            account=self._account,
            timing=self._settings.timing,
            network=self._network,
            login_attempts_max=self._settings.limits.login_attempts_max,
            other_login_boot_s=other_login_boot_s,
        )
        self._last_session = Session(settings, self._endpoints, listener, clock=clock, random=_random, rest=self._rest)
        return self._last_session

    async def _wait_for_new_key(self) -> None:
        if self._last_session is not None:
            await self._last_session.wait_for_new_key()
