"""One account's decisions on clocks that a test moves: commands in, commits and frames out, answers back."""

import json
from typing import Any, cast

import msgspec
from msgspec import Struct

from bridge.config import Limits, Timing
from bridge.contract.commands import CANCEL, CANCEL_ALL, PLACE, REPLACE
from bridge.contract.headers import Headers
from bridge.contract.pushes import OrderPush, TradePush
from bridge.contract.results import Result
from bridge.contract.session import Cause
from bridge.contract.topics import Stream
from bridge.core.account import Account
from bridge.core.commands.claims import CommitMetadata, TermStart, decode
from bridge.core.commands.command import TrackedCommand
from bridge.core.commands.dispatch import Commit
from bridge.core.commands.takeover_status import TakeoverStatus
from bridge.core.in_flight.query_schedule import StatusQuery
from bridge.core.now import Now
from bridge.core.outbox import Outbox
from bridge.core.records import Answer, CommandRecord, OutgoingRecord
from tests.support.clock_readings import read_clocks

START = Now(1000.0, 1_795_000_000_000)
BTC = "BINANCE_PERP_BTC_USDT"
ETH_ON_OKX = "OKX_PERP_ETH_USDT"
ORDER_ID = "1703213979730000"

COMMANDS = "ltp.main.commands"
LIMITS = Limits(
    place_per_window=100,
    replace_per_window=100,
    cancel_per_window=100,
    cancel_all_per_window=100,
    budget_percent=100,
    inflight_commands_max=1000,
    cancel_orders="venue_message",
)
TIMING = Timing()
_PER_WINDOW = {
    PLACE: "place_per_window",
    REPLACE: "replace_per_window",
    CANCEL: "cancel_per_window",
    CANCEL_ALL: "cancel_all_per_window",
}


def settings_with(**changes: object) -> tuple[Limits, Timing]:
    """Change some settings, whatever their inequalities say; `limits` are those of the window, by action."""
    per_window = cast("dict[str, int]", changes.pop("limits", {}))
    changes |= {_PER_WINDOW[action]: count for action, count in per_window.items()}
    ours = {name: value for name, value in changes.items() if name in Limits.model_fields}
    times = {name: value for name, value in changes.items() if name in Timing.model_fields}
    assert len(ours) + len(times) == len(changes), f"no such settings: {changes.keys() - ours.keys() - times.keys()}"
    return LIMITS.model_copy(update=ours), TIMING.model_copy(update=times)


def place(command_id: str, **args: str) -> dict[str, Any]:
    """Ask for a limit order that rests."""
    order = {"sym": BTC, "side": "BUY", "orderType": "LIMIT", "orderQty": "0.5", "limitPrice": "100", **args}
    return {"commandId": command_id, "action": PLACE, "args": order}


def replace(command_id: str, price: str = "101", **name: str) -> dict[str, Any]:
    """Ask for another price of the order of a name."""
    return {"commandId": command_id, "action": REPLACE, "args": {"replacePrice": price, **name}}


def cancel(command_id: str, **name: str) -> dict[str, Any]:
    """Ask for the end of the order of a name."""
    return {"commandId": command_id, "action": CANCEL, "args": name}


def cancel_all(command_id: str, scope: str = "ALL") -> dict[str, Any]:
    """Ask for the end of every order of a scope."""
    return {"commandId": command_id, "action": CANCEL_ALL, "args": {"exchangeType": scope}}


def order_push(client_order_id: str, **fields: str) -> OrderPush:
    """Show the order that `place` asks for, as the venue would."""
    row: dict[str, Any] = {
        "orderId": ORDER_ID,
        "orderState": "OPEN",
        "clientOrderId": client_order_id,
        "sym": BTC,
        "side": "BUY",
        "orderQty": "0.50",
        "createAt": str(START.wall_ms),
        "updateAt": str(START.wall_ms),
    }
    return msgspec.convert(row | fields, OrderPush)


def trade_push(client_order_id: str, **fields: str | None) -> TradePush:
    """Show an execution of the order that `place` asks for."""
    row: dict[str, Any] = {
        "transactionId": "7",
        "orderId": ORDER_ID,
        "sym": BTC,
        "quantity": "0.5",
        "price": "100",
        "side": "BUY",
        "clientOrderId": client_order_id,
        "createAt": str(START.wall_ms),
    }
    return msgspec.convert(row | fields, TradePush)


class Written(Struct, frozen=True):
    """A request that went to the socket."""

    request_id: str
    offset: int
    action: str
    args: dict[str, str]


class OneAccount:
    """An account that has a lease, and unless told otherwise a live session that is recovered."""

    def __init__(
        self,
        *,
        epoch: int = 1,
        start: int = 0,
        claims_lost_below: int = 0,
        live: bool = True,
        read: bool = True,
        **changes: object,
    ) -> None:
        self.now = START
        self.limits, self.timing = settings_with(**changes)
        self.outgoing: list[OutgoingRecord] = []
        """What the account has published, until it is drained."""
        self.begin_term(TermStart(epoch, start, claims_lost_below=claims_lost_below))
        self.venue_ahead_ms = self.broker_ahead_ms = 0
        self.reads = read
        """Whether answers tell the others' clocks."""
        self.read_clocks()
        self.next_offset = start
        self.said: list[OutgoingRecord] = []
        self.written: list[Written] = []
        self.last_commit: Commit | None = None
        """The last that was handed over."""
        if live:
            self.open_session()
            self.send()

    def begin_term(self, start: TermStart) -> None:
        """Own the account, in the same process as before if it was owned."""
        outbox = Outbox("main", self.outgoing.append)
        self.account = Account(outbox, COMMANDS, self.limits, self.timing, start, now=self.now)

    def read_clocks(self) -> None:
        """Let answers tell the venue's time, and acknowledgements the broker's."""
        if self.reads:
            read_clocks(
                self.account, self.now, venue_ahead_ms=self.venue_ahead_ms, broker_ahead_ms=self.broker_ahead_ms
            )

    def wait(self, seconds: float, *, tick: bool = True) -> None:
        """Let time pass on both clocks."""
        self.now = Now(self.now.boot_s + seconds, self.now.wall_ms + int(seconds * 1000))
        self.read_clocks()
        if tick:
            self.account.tick(self.now)

    def renew(self, seconds: float) -> None:
        """Let time pass in which the lease is kept."""
        for _ in range(int(seconds)):
            self.wait(1)
            self.send()

    def open_session(self) -> None:
        """Log in and sweep."""
        self.account.stream.logged_in("az4", self.now)
        self.account.recovery_complete("az4", 0, self.account.stream.reconciliation.begin_sweep(self.now), 0, self.now)

    def lose_session(self) -> None:
        """Cut the link."""
        self.account.session_lost("az4", Cause.LINK_FAILED, "cut", self.now.wall_ms, self.now)

    def offer(
        self, body: dict[str, Any] | bytes | None, *, past: TakeoverStatus = TakeoverStatus.NEW, headers: Headers = ()
    ) -> int:
        """Put a command on the topic and let it be read; bytes and None stay as they are."""
        value = json.dumps(body).encode() if isinstance(body, dict) else body
        offset, self.next_offset = self.next_offset, self.next_offset + 1
        record = CommandRecord(offset, self.now.wall_ms + self.broker_ahead_ms, b"key", value, headers)
        self.account.intake.offer(record, self.now, past)
        return offset

    def hand_over(self) -> Commit | None:
        """Take the commit that is due, if one is."""
        commit = self.account.next_commit(self.now, self.now.wall_ms, recording=True)
        self.last_commit = commit or self.last_commit
        return commit

    def stored(self, *, ready: bool = True) -> list[int]:
        """Let the commit be acknowledged, and write what passes the gate; return the offsets."""
        self.account.commit_acked(self.now)
        offsets = []
        while (claimed := self.account.dispatcher.next_claimed(self.now, ready=ready)) is not None:
            if not self.account._begin_single_cancels(claimed, self.now):
                offsets.append(self.write(claimed))
        return offsets

    def send(self, *, ready: bool = True) -> list[int]:
        """Write the cancels, commit what is due and write what it claims; return the offsets."""
        offsets = self.send_cancels(ready=ready)
        if self.hand_over() is not None:
            offsets += self.stored(ready=ready)
        return offsets

    def write_due(self, *, ready: bool = True) -> list[Written]:
        """Write every request that is due, in the account's order; return them."""
        before = len(self.written)
        while (request := self.account.next_request(self.now, link_ready=ready, is_owner=True)) is not None:
            offset = -1 if request.command_id is None else int(request.request_id.split("x")[1], 16)
            self.written.append(Written(request.request_id, offset, request.action, dict(request.args)))
        return self.written[before:]

    def send_cancels(self, *, ready: bool = True) -> list[int]:
        """Write every cancel that may go; return the offsets."""
        offsets = []
        for next_due in (self.account.dispatcher.next_cancel, self.account.dispatcher.next_repeat):
            while (command := next_due(self.now, ready=ready)) is not None:
                offsets.append(self.write(command))
        return offsets

    def write(self, command: TrackedCommand) -> int:
        """Write one request."""
        request = self.account._write(command, self.now)
        self.written.append(Written(request.request_id, command.offset, request.action, dict(request.args)))
        return command.offset

    def answer(self, offset: int, code: int = 200000, message: str = "", **names: str | None) -> bool:
        """Let the venue answer the last request for a command."""
        written = next(written for written in reversed(self.written) if written.offset == offset)
        answer = Answer(
            written.request_id, written.action, code, message, names.get("order_id"), names.get("client_order_id")
        )
        return self.account.on_frame(answer, self.now)

    def send_own_cancels(self, *, ready: bool = True) -> list[str]:
        """Write the cancels that the bridge sends of its own accord; return their orderIds."""
        order_ids: list[str] = []
        while True:
            own = self.account._next_own_cancel(self.now, ready=ready)
            if own is None:
                due = self.account.bridge_cancels.wake_at_boot_s() <= self.now.boot_s
                told = ready and due and self.account.dispatcher.has_lease(self.now)
                if not told or self.hand_over() is None:
                    return order_ids
                self.stored(ready=ready)
                continue
            request_id, args = own
            self.written.append(Written(request_id, -1, CANCEL, args))
            order_ids.append(args["orderId"])

    def ask(self, *rows: OrderPush) -> list[StatusQuery]:
        """Ask the venue what is due; `rows` are the orders that it shows, all of them open or asked for."""
        questions = self.account.unknown.pop_due_queries(self.now)
        for question in questions:
            for row in rows:
                self.account.on_order(row, self.now)
            if question.action == CANCEL_ALL:
                self.account.on_open_orders([str(row.order_id) for row in rows], self.now.boot_s, self.now)
            self.account.unknown.query_answered(question, self.now)
        return questions

    def take_outgoing(self) -> list[OutgoingRecord]:
        """Return what the account has published since the last time."""
        records = self.outgoing.copy()
        self.outgoing.clear()
        return records

    def drain(self, *, durable: bool = True) -> list[OutgoingRecord]:
        """Publish what was said."""
        records = self.take_outgoing()
        self.said += records
        if durable:
            self.account.on_durable(records)
        return records

    def results(self) -> list[Result]:
        """Publish what was said, and return every result so far."""
        self.drain()
        return results_of(self.said)

    def outcomes(self) -> list[tuple[int, str]]:
        """Publish what was said, and return offset and outcome of every result so far."""
        return [(result.command_offset, result.outcome.value) for result in self.results()]

    def alarms(self) -> list[str]:
        """Publish what was said, and return every alarm so far."""
        self.drain()
        events = [json.loads(record.value or b"") for record in self.said if record.stream is Stream.SESSION]
        return [event["alarm"] for event in events if event["type"] == "alarm.raised"]

    def cleared(self) -> list[str]:
        """Publish what was said, and return every alarm that has ended so far."""
        self.drain()
        events = [json.loads(record.value or b"") for record in self.said if record.stream is Stream.SESSION]
        return [event["alarm"] for event in events if event["type"] == "alarm.cleared"]

    def dead_letters(self) -> list[OutgoingRecord]:
        """Publish what was said, and return every dead letter so far."""
        self.drain()
        return [record for record in self.said if record.stream is Stream.DEAD_LETTERS]

    def committed(self) -> tuple[int, CommitMetadata]:
        """Wait until a commit is due, and return what it says."""
        self.wait(self.timing.commit_period_s)
        commit = self.hand_over()
        assert commit is not None
        self.stored(ready=False)
        stored = decode(commit.metadata, commit.offset)
        assert stored is not None
        return commit.offset, stored


def results_of(records: list[OutgoingRecord]) -> list[Result]:
    """Decode the results among records."""
    return [
        msgspec.json.decode(record.value or b"", type=Result)
        for record in records
        if record.stream is Stream.RESULTS and record.event_type is None
    ]
