"""A password that the brokers refuse is tried again only after minutes, by all clients of this process together.

Every client of aiokafka connects on its own, several times a second while that fails, and to each broker; and a
directory locks a user after a few refused passwords. aiokafka has no hook where that could be decided, so this module
guards its `create_conn`, which all of its clients call (`connections.py`). Written against 0.14.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from aiokafka.conn import AIOKafkaConnection
from aiokafka.conn import create_conn as _create_conn
from aiokafka.errors import AuthenticationFailedError, KafkaError, SaslAuthenticationFailed
from msgspec import Struct

WAITS_S: Final = (15.0, 120.0, 600.0, 900.0)
"""After the first refusal, the second …; the last goes on. A broker that has just started may refuse the first."""
_REFUSED: Final = (SaslAuthenticationFailed, AuthenticationFailedError)

_Credentials = tuple[str, str]


class LoginHeldBack(KafkaError):  # type: ignore[misc] # aiokafka publishes no types
    """The brokers have refused this password, and it may not be tried again yet; nothing was sent."""

    def __str__(self) -> str:
        """Return the message alone."""
        return str(self.args[0])


class _Refusals(Struct):
    count: int
    next_try_monotonic_s: float
    reason: str
    was_replaced: bool = False
    """Whether another password of the user was accepted since: clients that still have this one will end."""


class CredentialGate:
    """Remembers which user and password the brokers refuse. Another password may be tried at once."""

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        self._refused: dict[_Credentials, _Refusals] = {}
        self._proven: set[_Credentials] = set()
        self._turns: dict[_Credentials, asyncio.Lock] = {}

    @contextlib.asynccontextmanager
    async def wait_for_turn(self, credentials: _Credentials) -> AsyncIterator[None]:
        """Wait until these may be tried: one at a time until they have been accepted. Raises LoginHeldBack."""
        if credentials in self._proven:
            yield
            return
        async with self._turns.setdefault(credentials, asyncio.Lock()):
            self.require_try_allowed(credentials)
            yield

    def require_try_allowed(self, credentials: _Credentials) -> None:
        """Raise LoginHeldBack unless these may be tried now."""
        refused = self._refused.get(credentials)
        if refused is None:
            return
        wait_s = refused.next_try_monotonic_s - self._monotonic_s()
        if wait_s > 0:
            raise LoginHeldBack(_describe_refusals(refused, credentials[0], wait_s))

    def note_refusal(self, credentials: _Credentials, reason: str) -> None:
        """Hold the next try back, longer each time."""
        self._proven.discard(credentials)
        count = self._refused[credentials].count + 1 if credentials in self._refused else 1
        wait_s = WAITS_S[min(count, len(WAITS_S)) - 1]
        self._refused[credentials] = _Refusals(count, self._monotonic_s() + wait_s, reason)

    def note_success(self, credentials: _Credentials) -> None:
        """Forget the refusals of these, and let every connection try them from now on."""
        self._proven.add(credentials)
        self._refused.pop(credentials, None)
        for (user, _), refused in self._refused.items():
            refused.was_replaced |= user == credentials[0]

    def describe_refusal(self) -> str | None:
        """Return in words what is held back and for how long; None while nothing is, or another was accepted since."""
        now_s = self._monotonic_s()
        held = [
            _describe_refusals(refused, user, refused.next_try_monotonic_s - now_s)
            for (user, _), refused in self._refused.items()
            if refused.next_try_monotonic_s > now_s and not refused.was_replaced
        ]
        return held[-1] if held else None


def _describe_refusals(refused: _Refusals, user: str, wait_s: float) -> str:
    times = "once" if refused.count == 1 else f"{refused.count} times"
    return (
        f"the brokers refused the password of {user} {times} ({refused.reason}); it is tried again in {wait_s:.0f} s, "
        "or as soon as kafka.sasl_password_file holds another: check that file and kafka.sasl_username"
    )


credential_gate: Final = CredentialGate()
"""The gate of this process: all of its clients have the same user."""


async def create_guarded_connection(host: str, port: int, **options: Any) -> AIOKafkaConnection:  # noqa: ANN401 - passed on
    """Connect as aiokafka does. Raises what it raises, and LoginHeldBack."""
    if not options.get("sasl_mechanism"):
        return await _create_conn(host, port, **options)
    credentials = options["sasl_plain_username"], options["sasl_plain_password"]
    async with credential_gate.wait_for_turn(credentials):
        try:
            connection = await _create_conn(host, port, **options)
        except _REFUSED as error:
            credential_gate.note_refusal(credentials, str(error))
            raise
        credential_gate.note_success(credentials)
        return connection
