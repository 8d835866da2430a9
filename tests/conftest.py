"""What the whole test run shares: one real Kafka broker."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping

import pytest
import pytest_asyncio
import structlog
from hypothesis import HealthCheck, settings

from bridge.event_loop import new_event_loop
from bridge.sandbox.broker.launcher import Broker, BrokerError, start_broker

# How fast examples are made says something about the machine, and nothing about the code.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("long", settings.get_profile("any machine"), max_examples=10_000)
settings.load_profile("any machine")

# structlog's own default draws every local variable in a traceback: the event loop of a test stands still for a second.
structlog.configure(
    processors=[
        structlog.processors.add_log_level,
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)


def _tell(text: str) -> None:
    # Past pytest's capture: a first download takes a while, and a silent run looks stuck.
    sys.__stderr__.write(f"{text}\n")  # type: ignore[union-attr] # pytest does not run without one


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a run say that it starts no broker, and that its outputs are searched for its secrets."""
    parser.addoption("--no-broker", action="store_true", help="fail each test that needs a Kafka broker (make quick)")
    parser.addoption("--canary", action="store_true", help="search all outputs for every secret (make canary)")


def pytest_configure(config: pytest.Config) -> None:
    """Begin to take in secrets and outputs before any test is imported, where that is wanted."""
    if config.getoption("--canary"):
        from tests.canary.plugin import Canary  # noqa: PLC0415 - it imports the whole daemon

        config.pluginmanager.register(Canary(config))


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run every test on the loop that the daemon runs on."""
    return {"daemon": new_event_loop}


@pytest.fixture(autouse=True)
def log_settings() -> Iterator[None]:
    """Put the settings of the log back after each test: a logger that is used under others keeps them for good."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.fixture(scope="session")
def may_start_broker(pytestconfig: pytest.Config) -> None:
    """Fail in a run that is to start no broker."""
    if pytestconfig.getoption("--no-broker"):
        pytest.fail("this test needs a Kafka broker, and --no-broker (make quick) starts none", pytrace=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def broker(may_start_broker: None) -> AsyncIterator[Broker]:
    """Return the run's broker; a run that cannot have one fails with the reason, and skips nothing."""
    try:
        async with start_broker(_tell) as running:
            yield running
    except BrokerError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session")
def bootstrap(broker: Broker) -> str:
    """Return the address that a client of the run's broker connects to."""
    return broker.bootstrap_servers


@pytest_asyncio.fixture(loop_scope="session")
async def own_broker(may_start_broker: None) -> AsyncIterator[Broker]:
    """Return a broker that the test alone uses, and may kill, freeze and restart."""
    try:
        async with start_broker(owned=True) as running:
            yield running
    except BrokerError as error:
        pytest.fail(str(error), pytrace=False)
