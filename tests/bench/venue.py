"""The venue of the bench, a process of its own: pushes as fast as TCP takes them, answers at once, times of frames.

The WebSocket is written by hand, because a push must cost the machine next to nothing; REST is the sandbox's. Its first
line on stdout names URLs and keys; then it answers orders.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any, Final

import msgspec

from bridge.sandbox.venue.answers import encode_action_answer, encode_login_success, encode_pong
from bridge.sandbox.venue.dialects import Dialect
from bridge.sandbox.venue.outcomes import ActionOutcome
from bridge.sandbox.venue.settings import AccountSettings, VenueSettings
from bridge.sandbox.venue.venue import Venue
from bridge.sandbox.venue.websocket import ACTIONS, PATH
from tests.bench.orders import answer_orders, run
from tests.bench.pushes import Stamp, make_frame, make_order_frame
from tests.bench.websocket import ClientSocket

_DIALECT: Final = Dialect()
_FIRST_ORDER: Final = 1_902_884_500_000_000
_FRAMES_AT_ONCE: Final = 128
_STATE_AFTER: Final = {"place_order": "OPEN", "cancel_order": "CANCELLED"}


class CommandFrame(msgspec.Struct, array_like=True):
    """A request: its action, the name of its order, when it arrived and when its answer was written (monotonic ns)."""

    action: str
    client_order_id: str
    arrived_monotonic_ns: int
    answered_monotonic_ns: int


class BenchVenue:
    """The WebSockets of all accounts, and what was noted of their requests."""

    def __init__(self, rest: Venue) -> None:
        self._keys = rest.keys
        self._sockets: dict[str, ClientSocket] = {}
        """The socket that has logged in last, by account."""
        self._order_ids: dict[str, int] = {}
        self._frames: list[CommandFrame] = []

    def make_socket(self) -> ClientSocket:
        """Return the protocol of a new connection."""
        return ClientSocket(self._on_text, self._on_end)

    def _on_end(self, socket: ClientSocket) -> None:
        if self._sockets.get(socket.account) is socket:
            del self._sockets[socket.account]

    def _on_text(self, socket: ClientSocket, text: bytes, arrived_ns: int) -> None:
        if text == b"ping":
            socket.write_text(b"pong")
            return
        message = msgspec.json.decode(text)
        if "ping" in message:
            socket.write_text(encode_pong(time.time_ns() // 1_000_000))
        elif message["action"] == "login":
            self._log_in(socket, message["args"]["apiKey"])
        elif message["action"] in ACTIONS:
            self._act(socket, message, arrived_ns)

    def _log_in(self, socket: ClientSocket, api_key: str) -> None:
        key = self._keys.find(api_key)
        assert key is not None, "a login with a key of nobody"
        socket.account = key.name
        self._sockets[key.name] = socket
        socket.write_text(encode_login_success(_DIALECT))

    def _act(self, socket: ClientSocket, message: dict[str, Any], arrived_ns: int) -> None:
        """Accept a request, and push the order's new state behind the answer, as the venue does."""
        action, name = message["action"], message["args"].get("clientOrderId", "")
        order_id = self._order_ids.setdefault(name, _FIRST_ORDER + len(self._order_ids))
        outcome = ActionOutcome(data={"orderId": str(order_id), "clientOrderId": name})
        socket.write_text(encode_action_answer(message["id"], action, outcome, _DIALECT))
        answered_ns = time.monotonic_ns()
        self._frames.append(CommandFrame(action, name, arrived_ns, answered_ns))
        state = _STATE_AFTER.get(action)
        if state is not None:
            now_ms = time.time_ns() // 1_000_000
            socket.write(make_order_frame(order_id, name.encode(), state, now_ms, Stamp(0, answered_ns)))

    async def answer(self, order: dict[str, Any]) -> Any:  # noqa: ANN401 - any JSON
        """Carry out one order of the meter's."""
        match order["order"]:
            case "sessions":
                return list(self._sockets)
            case "flood":
                return await self._flood(order["account"], order["pushes"])
            case "paced":
                return await self._push_paced(order["accounts"], order["pushes"], order["per_s"])
            case "frames":
                frames, self._frames = self._frames, []
                _write_frames(Path(order["to"]), frames)
                return len(frames)
        raise ValueError(f"no order of this venue: {order}")

    async def _flood(self, account: str, pushes: int) -> dict[str, Any]:
        """Write pushes as fast as the client reads them; tell how many were written and since when."""
        socket = self._sockets[account]
        began_ns = time.monotonic_ns()
        number = 0
        while number < pushes and socket.is_open:
            end = min(number + _FRAMES_AT_ONCE, pushes)
            now_ns, now_ms = time.monotonic_ns(), time.time_ns() // 1_000_000
            socket.write(b"".join([make_frame(Stamp(one, now_ns), now_ms) for one in range(number, end)]))
            number = end
            await socket.wait_until_writable()
            await asyncio.sleep(0)
        return {"written": number, "is_open": socket.is_open, "began_monotonic_ns": began_ns}

    async def _push_paced(self, accounts: list[str], pushes: int, per_s: float) -> dict[str, Any]:
        """Write so many pushes for each account, `per_s` for all accounts together, in turn."""
        total, written = pushes * len(accounts), 0
        began_ns = time.monotonic_ns()
        while written < total:
            due = min(total, int((time.monotonic_ns() - began_ns) * per_s / 1e9) + 1)
            for one in range(written, due):
                number, of = divmod(one, len(accounts))
                socket = self._sockets.get(accounts[of])
                if socket is None:
                    return {"written": one, "is_open": False, "began_monotonic_ns": began_ns}
                socket.write(make_frame(Stamp(number, time.monotonic_ns()), time.time_ns() // 1_000_000))
            written = due
            await asyncio.sleep(max(0.0, written / per_s - (time.monotonic_ns() - began_ns) / 1e9))
        return {"written": written, "is_open": True, "began_monotonic_ns": began_ns}


def _write_frames(path: Path, frames: list[CommandFrame]) -> None:
    """Write what was noted into a file: a line of thousands is longer than its reader takes."""
    path.write_bytes(msgspec.json.encode(frames))


async def _serve(accounts: int) -> None:
    settings = VenueSettings(accounts=tuple(AccountSettings(name=f"a{number:02}") for number in range(accounts)))
    async with Venue(settings) as rest:
        venue = BenchVenue(rest)
        server = await asyncio.get_running_loop().create_server(venue.make_socket, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        keys = {key.name: [key.api_key, key.api_secret] for key in rest.keys}
        facts = {"ws_url": f"ws://127.0.0.1:{port}{PATH}", "rest_url": rest.rest_url, "keys": keys}
        sys.stdout.write(json.dumps(facts) + "\n")
        sys.stdout.flush()
        try:
            await answer_orders(venue.answer)
        finally:
            server.close()


if __name__ == "__main__":
    run(_serve(json.loads(sys.argv[1])))
