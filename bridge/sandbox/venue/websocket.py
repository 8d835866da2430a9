"""The private WebSocket `/v1/private`: greeting, login, heartbeats and actions (LTP docs, User Data Overview)."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple, cast

import msgspec
from aiohttp import WSMsgType, web

from bridge.sandbox.venue import answers, login
from bridge.sandbox.venue.backend import VenueBackend
from bridge.sandbox.venue.codes import LOGGED_OUT, TEXTS
from bridge.sandbox.venue.connection import ClientConnection
from bridge.sandbox.venue.faults import FaultKind, FaultTarget
from bridge.sandbox.venue.keys import ApiKey
from bridge.sandbox.venue.ledger import EntryKind, LedgerEntry
from bridge.sandbox.venue.outcomes import ActionOutcome

PATH = "/v1/private"
ACTIONS = frozenset({"place_order", "replace_order", "cancel_order", "cancel_orders"})


class _Request(NamedTuple):
    id: str | None
    action: str
    args: object


class WebSocketServer:
    """Serves the WebSockets of one tier; all tiers share the backend."""

    def __init__(self, backend: VenueBackend, tier: str) -> None:
        self._backend = backend
        self._tier = tier

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection, from the upgrade to its end."""
        backend = self._backend
        number = backend.next_connection_number()
        socket = web.WebSocketResponse(
            autoping=False, compress=False, max_msg_size=backend.settings.frame_bytes_max, timeout=1.0
        )
        connection = ClientConnection(
            socket,
            cast("asyncio.Transport", request.transport),
            number=number,
            tier=self._tier,
            ledger=backend.ledger,
            faults=backend.faults,
        )
        refused = backend.faults.trigger(FaultKind.REFUSE_CONNECTION, connection.target(action="connect"))
        if refused:
            return web.Response(status=refused.fault.status)
        await socket.prepare(request)
        backend.ledger.write(EntryKind.CONN, connection=number, tier=self._tier)
        backend.connections[number] = connection
        reason = "cancelled"
        tasks = [
            asyncio.create_task(connection.write_frames(), name=f"write {number}"),
            asyncio.create_task(self._close_when_inactive(connection), name=f"watch {number}"),
            asyncio.create_task(self._ping_after_connect(connection), name=f"greet {number}"),
        ]
        try:
            reason = await self._read(connection)
        finally:
            connection.close()
            del backend.connections[number]
            backend.ledger.write(
                EntryKind.DROP,
                portfolio_id=connection.portfolio_id,
                connection=number,
                reason=connection.close_reason or reason,
            )
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return socket

    async def _ping_after_connect(self, connection: ClientConnection) -> None:
        await asyncio.sleep(self._backend.settings.protocol_ping_after_s)
        connection.send_heartbeat(b"", "protocol", WSMsgType.PING)

    async def _close_when_inactive(self, connection: ClientConnection) -> None:
        """Close the connection when it has been inactive for too long."""
        settings = self._backend.settings
        loop = asyncio.get_running_loop()
        while True:
            last_frame_s = connection.last_client_frame_s
            if settings.dialect.inactivity == "both_silent":
                last_frame_s = max(last_frame_s, connection.last_venue_frame_s)
            left = last_frame_s + settings.inactivity_s - loop.time()
            if not connection.is_reading:
                left = max(left, settings.inactivity_s)
            if left <= 0:
                break
            await asyncio.sleep(left)
        connection.close_reason = "inactive"
        with suppress(ConnectionResetError):
            await connection.socket.close()

    async def _read(self, connection: ClientConnection) -> str:
        while True:
            message = await connection.socket.receive()
            if not connection.is_reading:
                await connection.wait_until_reading()
            if message.type is WSMsgType.TEXT:
                self._on_frame(connection, message.data)
            elif message.type is WSMsgType.BINARY:
                self._on_frame(connection, message.data.decode("utf-8", "replace"))
            elif message.type is WSMsgType.PING:
                connection.send_heartbeat(message.data, "protocol", WSMsgType.PONG)
            elif message.type is WSMsgType.PONG:
                self._record_heartbeat(connection, "protocol_pong")
            elif message.type is WSMsgType.ERROR:
                return f"error: {message.data}"
            else:
                return f"closed: {connection.socket.close_code}"

    def _record_heartbeat(self, connection: ClientConnection, style: str) -> None:
        self._backend.ledger.write(
            EntryKind.PING,
            portfolio_id=connection.portfolio_id,
            connection=connection.number,
            style=style,
            from_venue=False,
        )

    def _on_frame(self, connection: ClientConnection, text: str) -> None:
        connection.last_client_frame_s = asyncio.get_running_loop().time()
        heartbeat = self._backend.settings.dialect.heartbeat
        if text.strip().lower() == "ping":
            self._answer_heartbeat(connection, "text", answered=heartbeat != "json")
            return
        try:
            frame: Any = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeEncodeError):
            frame = None
        if isinstance(frame, dict) and "ping" in frame:
            self._answer_heartbeat(connection, "json", answered=heartbeat != "text")
            return
        self._backend.ledger.write(
            EntryKind.RECV, portfolio_id=connection.portfolio_id, connection=connection.number, text=text
        )
        if not isinstance(frame, dict):
            connection.send_answer(answers.encode_frame_refusal(None, 601001))
            return
        self._dispatch_frame(connection, frame)

    def _answer_heartbeat(self, connection: ClientConnection, style: str, *, answered: bool) -> None:
        self._record_heartbeat(connection, style)
        target = connection.target(action="ping")
        if not answered or self._backend.faults.trigger(FaultKind.DROP_ANSWER, target):
            return
        answer = b"pong" if style == "text" else answers.encode_pong(self._backend.clock.wall_ms())
        late = self._backend.faults.trigger(FaultKind.DELAY_ANSWER, target)
        if late:
            connection.call_later(late.fault.delay_s, lambda: connection.send_heartbeat(answer, style))
        else:
            connection.send_heartbeat(answer, style)

    def _dispatch_frame(self, connection: ClientConnection, frame: dict[str, Any]) -> None:
        action, request_id, args = frame.get("action"), frame.get("id"), frame.get("args")
        if request_id is not None and not isinstance(request_id, str):
            connection.send_answer(answers.encode_frame_refusal(None, 1000))
        elif action == "login":
            self._apply_faults(connection, "login", lambda: self._log_in(connection, args))
        elif not isinstance(action, str) or action not in ACTIONS:
            connection.send_answer(answers.encode_frame_refusal(request_id, 601011 if action else 601008))
        elif connection.key is None:
            shape = self._backend.settings.dialect.action_failure
            text = TEXTS[LOGGED_OUT]
            connection.send_answer(answers.encode_action_refusal(request_id, action, LOGGED_OUT, text, shape))
        else:
            key, request = connection.key, _Request(request_id, action, args)
            arguments = _encode_arguments(args)
            self._apply_faults(
                connection, action, lambda: self._perform_action(connection, key, request, arguments), arguments
            )

    def _apply_faults(
        self, connection: ClientConnection, action: str, do: Callable[[], None], arguments: str = ""
    ) -> None:
        """Perform a request, with the faults that apply before it."""
        faults, target = self._backend.faults, connection.target(action=action, arguments=arguments)
        if faults.trigger(FaultKind.CLOSE_BEFORE, target):
            connection.abort("close_before")
            return
        stopped = faults.trigger(FaultKind.STOP_READING, target)
        if stopped:
            connection.stop_reading(stopped.fault.delay_s or None, then=do)
            return
        held = faults.trigger(FaultKind.HOLD_REQUEST, target)
        if held is None:
            do()
        elif held.fault.delay_s:
            # Not a timer of the connection: a held request is performed even if the connection has closed by then.
            asyncio.get_running_loop().call_later(held.fault.delay_s, do)
        else:
            held.hold(do)

    def _perform_action(self, connection: ClientConnection, key: ApiKey, request: _Request, arguments: str) -> None:
        backend, target = self._backend, connection.target(action=request.action, arguments=arguments)
        replaced = backend.faults.trigger(FaultKind.REPLACE_ANSWER, target)
        pushes: list[LedgerEntry] = []
        outcome = ActionOutcome()
        if replaced is None or replaced.fault.lands:
            ruling = backend.act(key, request.action, request.args, target=target, request_id=request.id)
            outcome, pushes = ruling.outcome, ruling.pushes
        if replaced is None:
            answer = answers.encode_action_answer(request.id, request.action, outcome, backend.settings.dialect)
        elif replaced.fault.text is not None:
            answer = replaced.fault.text.replace("$id", request.id or "").encode()
        else:
            fault = replaced.fault
            text = fault.message or TEXTS.get(fault.code, "")
            answer = answers.encode_action_refusal(request.id, request.action, fault.code, text, fault.shape)
        self._send_reply(connection, target, answer, pushes)

    def _send_reply(
        self, connection: ClientConnection, target: FaultTarget, answer: bytes, pushes: list[LedgerEntry]
    ) -> None:
        """Send answer and pushes, with the faults that apply to them."""
        backend = self._backend
        if backend.faults.trigger(FaultKind.CLOSE_AFTER, target):
            connection.abort("close_after")
            backend.send_pushes(pushes)
            return
        pushes_first = backend.faults.trigger(FaultKind.PUSH_FIRST, target) is not None
        if pushes_first:
            backend.send_pushes(pushes)
        if not backend.faults.trigger(FaultKind.DROP_ANSWER, target):
            doubled = backend.faults.trigger(FaultKind.DUPLICATE_ANSWER, target)
            late = backend.faults.trigger(FaultKind.DELAY_ANSWER, target)
            for _ in range(doubled.fault.copies if doubled else 1):
                if late:
                    connection.call_later(late.fault.delay_s, lambda: connection.send_answer(answer))
                else:
                    connection.send_answer(answer)
        if not pushes_first:
            backend.send_pushes(pushes)

    def _log_in(self, connection: ClientConnection, args: object) -> None:
        backend = self._backend
        decision = login.decide_login(backend, connection, args)
        dialect = backend.settings.dialect
        if decision.key is None:
            answer = answers.encode_login_failure(decision.code, dialect)
        else:
            connection.key, connection.only_trade = decision.key, decision.only_trade
            answer = answers.encode_login_success(dialect)
        self._send_reply(connection, connection.target(action="login"), answer, [])


def _encode_arguments(args: object) -> str:
    return msgspec.json.encode(args).decode()
