"""Wires the parts into the daemon and decides nothing."""

import asyncio
import contextlib
import gc
import os
import random
import signal
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from functools import partial

import structlog
from msgspec import structs

from bridge import __version__
from bridge.admin import health
from bridge.config import AccountConfig, Settings
from bridge.config.warnings import find_warnings
from bridge.contract.topics import Stream, topic_name
from bridge.core.account import Account
from bridge.core.backoff import full_jitter
from bridge.core.commands.claims import key_fingerprint
from bridge.core.now import Now
from bridge.core.records import CommandRecord, OutgoingRecord
from bridge.core.session_listener import SessionListener
from bridge.errors import BridgeError, ClusterUnreachable, ConfigError, TopicsUnfit
from bridge.flow import ports
from bridge.flow.dependencies import SupervisorDependencies, TakeoverDependencies, TermDependencies
from bridge.flow.replay import TopicReplay
from bridge.flow.result_log import ResultLog
from bridge.flow.supervisor import AccountSupervisor, stopped_before
from bridge.flow.takeover import AccountTakeover
from bridge.flow.whose_account import Identity
from bridge.kafka.cluster import require_c_extension
from bridge.kafka.credentials import credential_gate
from bridge.kafka.membership import Membership
from bridge.kafka.preflight import check_topics
from bridge.kafka.publisher import Publisher
from bridge.kafka.record_sender import PublisherCallbacks
from bridge.kafka.tail import TailRecord, read_commands, read_last, read_tail
from bridge.kafka.topic_watch import TopicWatch
from bridge.ltp.failover import EndpointSelector
from bridge.ltp.network import load_network_settings
from bridge.ltp.rest import RestClient
from bridge.ltp.session import Session, SessionSettings
from bridge.ltp.wire import encode_action

_log = structlog.get_logger()
_random = random.SystemRandom().random
_GARBAGE_MIN = 50_000
"""Objects between two looks of the collector. By far the most are freed without it; a takeover makes many that stay."""
_PUBLISHER_SHARE = 0.1
"""The part of the time to stop that a publisher has to send what is left."""
_SPANS_SHARE = 0.05
"""The part of it that is left to the last spans."""


def clock() -> Now:
    """Read both clocks. The steady one counts suspend, so that a machine that slept finds its leases over."""
    return Now(time.clock_gettime(time.CLOCK_BOOTTIME), time.time_ns() // 1_000_000)


class AccountParts:
    """The real parts of one account, fitted to what flow asks for."""

    def __init__(
        self,
        name: str,
        account: AccountConfig,
        settings: Settings,
        instance: str,
        callbacks: PublisherCallbacks,
    ) -> None:
        self._name = name
        self._account = account
        self._settings = settings
        self._instance = instance
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
            callbacks=structs.replace(callbacks, on_oversize=self._too_large),
        )
        self._result_log = ResultLog(name, self.publisher)
        timing = settings.timing
        self.topics = TopicWatch(settings.kafka, timing, name, on_unwritable=self.publisher.note_unwritable)
        self.flow = AccountSupervisor(
            name,
            instance,
            SupervisorDependencies(
                start=self._start,
                join=self._membership,
                take_over=self._take_over,
                new_term=self._parts,
                topics=self.topics,
                key_changed=self._key_changed,
                describe_refusal=credential_gate.describe_refusal,
                random=_random,
                clock=clock,
            ),
            session_timeout_s=timing.session_timeout_s,
            stop_deadline_s=timing.stop_deadline_s,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Run the account until `stop` is set or it has to be given up, then end its publisher."""
        async with self._rest:
            watching = asyncio.create_task(self.topics.run(), name=f"topics:{self._name}")
            try:
                await self.flow.run(stop)
            finally:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
                await self.publisher.stop(self._settings.timing.stop_deadline_s * _PUBLISHER_SHARE)

    def _too_large(self, record: OutgoingRecord) -> None:
        _log.error("record.oversize", account=self._name, stream=record.stream.value, bytes=len(record.value or b""))
        self.flow.record_too_large(record)

    async def _start(self) -> None:
        if not self._started:
            await self.publisher.start()
            self._started = True

    def _membership(self, wake: Callable[[], None]) -> Membership:
        return Membership(self._settings.kafka, self._settings.timing, self._name, on_revoked=wake, on_assigned=wake)

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

    def _parts(self, membership: ports.Membership) -> TermDependencies:
        return TermDependencies(
            membership=membership,
            publisher=self.publisher,
            rest=self._rest,
            open_session=self._session,
            encode=encode_action,
            clock=clock,
            key_fingerprint=self._key_fingerprint,
            read_commands=self._read_commands,
            topics=self._new_replay(),
            result_log=self._result_log,
            topic_watch=self.topics,
        )

    async def _read_commands(
        self, begin: int, end: int, take: Callable[[Sequence[CommandRecord]], Awaitable[None]]
    ) -> None:
        topic = topic_name(self._settings.kafka.topic_prefix, self._name, Stream.COMMANDS)
        await read_commands(self._settings.kafka, topic, begin, end, take)

    def _session(self, listener: SessionListener, other_login_boot_s: float) -> Session:
        settings = SessionSettings(
            account=self._account,
            timing=self._settings.timing,
            network=self._network,
            login_attempts_max=self._settings.limits.login_attempts_max,
            other_login_boot_s=other_login_boot_s,
        )
        self._last_session = Session(settings, self._endpoints, listener, clock=clock, random=_random, rest=self._rest)
        return self._last_session

    async def _key_changed(self) -> None:
        if self._last_session is not None:
            await self._last_session.wait_for_new_key()


async def _topics_fit(settings: Settings, stop: asyncio.Event, flows: Sequence[AccountSupervisor]) -> None:
    """Wait for a broker, which the accounts say meanwhile, and check the topics. Raises TopicsUnfit."""
    attempt = 0
    while not stop.is_set():
        checking = asyncio.ensure_future(check_topics(settings.kafka, settings.timing, settings.accounts))
        try:
            if await stopped_before(stop, checking):
                return
        except ClusterUnreachable as error:
            _log.warning("kafka.unreachable", detail=str(error))
            for flow in flows:
                flow.wait_for_kafka(str(error))
            attempt += 1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(full_jitter(attempt, _random(), base_s=0.5, cap_s=10, floor_s=0.2)):
                    await stop.wait()
            continue
        if problems := checking.result():
            raise TopicsUnfit(problems)
        return


@contextlib.asynccontextmanager
async def _publisher_callbacks(settings: Settings, instance: str) -> AsyncIterator[Callable[[str], PublisherCallbacks]]:
    """Yield what makes the callbacks of an account's publisher, which trace its commands where that is wanted."""
    endpoint = settings.tracing.otlp_endpoint
    if endpoint is None:
        yield lambda _: PublisherCallbacks()
        return
    from bridge.admin.tracing import CommandTracing  # noqa: PLC0415 - needs an extra, and nobody should wait for it unasked

    try:
        tracing = CommandTracing(endpoint, environment=settings.environment, instance=instance)
    except (ValueError, RuntimeError) as error:
        raise ConfigError([f"the environment: OpenTelemetry refuses a variable of its own (OTEL_…): {error}"]) from None
    try:
        yield lambda account: PublisherCallbacks(on_durable=tracing.durable_record_observer(settings.kafka, account))
    finally:
        await tracing.stop(settings.timing.stop_deadline_s * _SPANS_SHARE)


@contextlib.contextmanager
def _stopping_on_signals(stop: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def _look(flows: Sequence[AccountSupervisor]) -> dict[str, health.AccountHealth]:
    """Tell how each account does, and what it lacks."""
    told = {}
    for flow in flows:
        missing = [health.MissingPart(one.what, one.since_ms, one.detail) for one in flow.find_missing()]
        told[flow.name] = health.AccountHealth(not missing, flow.phase.value, flow.describe(), missing)
    return told


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Run every account until `stop` is set, then stop in good order.

    Raises ConfigError, TopicsUnfit, and OSError when the management port is taken.
    """
    require_c_extension()
    gc.set_threshold(_GARBAGE_MIN)
    instance = f"{socket.gethostname()}:{os.getpid()}"
    management = settings.management
    async with contextlib.AsyncExitStack() as stack:
        callbacks_of = await stack.enter_async_context(_publisher_callbacks(settings, instance))
        parts = [
            AccountParts(name, account, settings, instance, callbacks_of(name))
            for name, account in settings.accounts.items()
        ]
        pages = health.serve(management.host, management.port, partial(_look, [part.flow for part in parts]))
        port = await stack.enter_async_context(pages)
        _log.info("bridge.started", version=__version__, instance=instance, management_port=port)
        for warning in find_warnings(settings):
            _log.warning("settings.warning", detail=warning)
        await _topics_fit(settings, stop, [part.flow for part in parts])
        async with asyncio.TaskGroup() as group:
            for part in parts:
                group.create_task(part.run(stop), name=f"account:{part.flow.name}")
            await stop.wait()
            _log.info("bridge.stopping")
    _log.info("bridge.stopped")


async def run(settings: Settings) -> None:
    """Run the daemon until SIGTERM or SIGINT. Raises what `serve` raises."""
    stop = asyncio.Event()
    with _stopping_on_signals(stop):
        await serve(settings, stop)
