"""What was asked before: each command once within the horizon, and each clientOrderId one command."""

from collections import deque
from collections.abc import Iterable

from msgspec import Struct, field

from bridge.contract.commands import PLACE
from bridge.contract.headers import Headers
from bridge.contract.results import Result


class Repeat(Struct, frozen=True):
    """A record that submits a command again; `echo` are the headers that its answer carries back."""

    offset: int
    timestamp_ms: int
    echo: Headers


class Asked(Struct):
    """A remembered command; `result` is its terminal result once there is one.

    `repeats` are those that came before it was answered.
    """

    command_id: str
    offset: int
    timestamp_ms: int
    digest: str | None
    client_order_id: str | None
    result: Result | None = None
    repeats: list[Repeat] = field(default_factory=list)


class Memory:
    """Commands by commandId and by clientOrderId, forgotten after the horizon."""

    def __init__(self, horizon_s: float) -> None:
        self._horizon_ms = int(horizon_s * 1000)
        self._by_id: dict[str, Asked] = {}
        self._by_client_order_id: dict[str, str] = {}
        self._order: deque[tuple[int, str]] = deque()

    def __len__(self) -> int:
        return len(self._by_id)

    def find(self, command_id: str) -> Asked | None:
        """Return the remembered command of this id."""
        return self._by_id.get(command_id)

    def known(self, command_id: str) -> Asked:
        """Return a command that has not been answered yet, and so is surely remembered."""
        return self._by_id[command_id]

    def holder(self, client_order_id: str) -> str | None:
        """Return the commandId that uses a clientOrderId."""
        return self._by_client_order_id.get(client_order_id)

    def remember(self, asked: Asked, *, names_order: bool) -> None:
        """Remember a command; `names_order` when it is a place, whose clientOrderId is then taken."""
        self._by_id[asked.command_id] = asked
        self._order.append((asked.timestamp_ms, asked.command_id))
        if names_order and asked.client_order_id is not None:
            self._by_client_order_id.setdefault(asked.client_order_id, asked.command_id)

    def release(self, command_id: str) -> None:
        """Free the clientOrderId of a command that was never sent: a later one may use it."""
        asked = self._by_id.get(command_id)
        if asked is not None and asked.client_order_id is not None:
            self._unname(asked.client_order_id, command_id)

    def restore(self, results: Iterable[tuple[Result, int]]) -> None:
        """Remember what an earlier owner answered: results with their record timestamps, oldest first."""
        for result, timestamp_ms in results:
            if result.outcome.terminal and result.command_id not in self._by_id:
                asked = Asked(
                    command_id=result.command_id,
                    offset=result.command_offset,
                    timestamp_ms=timestamp_ms,
                    digest=result.body_digest,
                    client_order_id=result.client_order_id,
                    result=result,
                )
                self.remember(asked, names_order=result.action == PLACE and not result.outcome.unsent)

    def forget(self, wall_ms: int) -> None:
        """Drop what is older than the horizon and answered; what is not is looked at again a horizon later."""
        while self._order and self._order[0][0] < wall_ms - self._horizon_ms:
            _, command_id = self._order.popleft()
            asked = self._by_id[command_id]
            if asked.result is None:
                self._order.append((wall_ms, command_id))
                continue
            del self._by_id[command_id]
            if asked.client_order_id is not None:
                self._unname(asked.client_order_id, command_id)

    def _unname(self, client_order_id: str, command_id: str) -> None:
        if self._by_client_order_id.get(client_order_id) == command_id:
            del self._by_client_order_id[client_order_id]
