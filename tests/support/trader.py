"""A venue whose clock is moved by hand, and a trader who talks to it over real sockets."""

import contextlib
import json
from collections.abc import Callable
from typing import Any

import aiohttp

from bridge.sandbox.venue.clock import ManualClock
from bridge.sandbox.venue.keys import sign_login, sign_rest_request
from bridge.sandbox.venue.settings import VenueSettings
from bridge.sandbox.venue.venue import Venue

REPLY_S = 3.0

RESTING = {
    "sym": "BINANCE_PERP_BTC_USDT",
    "side": "BUY",
    "orderType": "LIMIT",
    "orderQty": "0.01",
    "limitPrice": "60000",
}


class Reply:
    """What a REST request was answered."""

    def __init__(self, status: int, body: Any) -> None:  # noqa: ANN401 - JSON
        self.status = status
        self.body = body

    @property
    def code(self) -> int:
        """The envelope's code."""
        return int(self.body["code"])

    @property
    def data(self) -> Any:  # noqa: ANN401 - JSON
        """The envelope's data."""
        return self.body["data"]


class Trader:
    """Speaks to the venue with one account's key."""

    def __init__(self, venue: Venue, session: aiohttp.ClientSession, account: str = "main") -> None:
        self.venue = venue
        self.key = venue.keys[account]
        self.frames: list[Any] = []
        self._session = session
        self._asked = 0
        self._sockets: list[aiohttp.ClientWebSocketResponse] = []
        self.socket: aiohttp.ClientWebSocketResponse

    async def connect(self, url: str = "") -> "Trader":
        """Open a socket without logging in."""
        self.socket = await self._session.ws_connect(url or self.venue.ws_url)
        self._sockets.append(self.socket)
        return self

    async def close(self) -> None:
        """Close every socket that was opened, also those that the venue has cut."""
        for socket in self._sockets:
            await socket.close()

    def login_args(self, **changes: object) -> dict[str, object]:
        """Return the arguments of a good login, some of them changed."""
        timestamp = str(self.venue.clock.wall_ms() // 1000)
        sign = sign_login(self.key.api_secret, timestamp)
        return {"apiKey": self.key.api_key, "timestamp": timestamp, "sign": sign, **changes}

    async def login(self, **changes: object) -> Any:  # noqa: ANN401 - JSON
        """Log in and return the answer."""
        await self.send({"action": "login", "args": self.login_args(**changes)})
        return await self.until(lambda frame: frame.get("event") in {"login", "error"})

    async def send(self, frame: object) -> None:
        """Send a frame: text as it is, anything else as JSON."""
        await self.socket.send_str(frame if isinstance(frame, str) else json.dumps(frame))

    async def read(self) -> Any:  # noqa: ANN401 - JSON
        """Return the next frame, kept in `frames` too."""
        text = await self.socket.receive_str(timeout=REPLY_S)
        try:
            frame = json.loads(text)
        except ValueError:
            frame = {"text": text}
        self.frames.append(frame)
        return frame

    async def until(self, wanted: Callable[[Any], bool]) -> Any:  # noqa: ANN401 - JSON
        """Read until a frame is wanted and return it."""
        while True:
            frame = await self.read()
            if wanted(frame):
                return frame

    async def ask(self, action: str, **args: object) -> Any:  # noqa: ANN401 - JSON
        """Send an action and return its answer."""
        self._asked += 1
        request_id = f"q{self._asked}"
        await self.send({"id": request_id, "action": action, "args": args})
        return await self.until(lambda frame: frame.get("id") == request_id)

    async def place(self, **changes: object) -> Any:  # noqa: ANN401 - JSON
        """Place an order that rests, some of its terms changed, and return the answer."""
        return await self.ask("place_order", **{**RESTING, **changes})

    async def push(self, channel: str, **fields: object) -> Any:  # noqa: ANN401 - JSON
        """Return the next push of a channel that shows these fields, already read or not."""
        for frame in self.frames:
            if _shows(frame, channel, fields):
                return frame["data"]
        return (await self.until(lambda frame: _shows(frame, channel, fields)))["data"]

    def seen(self, channel: str) -> list[Any]:
        """Return the rows of a channel that were read so far."""
        return [frame["data"] for frame in self.frames if frame.get("channel") == channel]

    async def settle(self) -> None:
        """Read until everything sent before now has arrived."""
        await self.send("ping")
        await self.until(lambda frame: frame.get("text") == "pong")

    async def rest(self, method: str, path: str, parameters: dict[str, str] | None = None, **headers: str) -> Reply:
        """Make a signed request; `headers` replace the right ones."""
        given = parameters or {}
        nonce = str(self.venue.clock.wall_ms() // 1000)
        right = {
            "X-MBX-APIKEY": self.key.api_key,
            "nonce": nonce,
            "signature": sign_rest_request(self.key.api_secret, given, headers.get("nonce", nonce)),
        }
        in_query = method == "GET"
        async with self._session.request(
            method,
            f"{self.venue.rest_url}{path}",
            params=given if in_query else None,
            json=None if in_query else given,
            headers={**right, **headers},
        ) as response:
            return Reply(response.status, json.loads(await response.text()))

    async def get(self, name: str, **parameters: str) -> Reply:
        """Read a path below /api/v1/trading."""
        return await self.rest("GET", f"/api/v1/trading/{name}", parameters)


def _shows(frame: Any, channel: str, fields: dict[str, object]) -> bool:  # noqa: ANN401 - JSON
    return bool(frame.get("channel") == channel and fields.items() <= frame["data"].items())


class Exchange:
    """Opens venues and traders that end with the test."""

    def __init__(self, stack: contextlib.AsyncExitStack, session: aiohttp.ClientSession) -> None:
        self.clock = ManualClock()
        self.stack = stack
        self.session = session

    async def open(self, settings: VenueSettings | None = None) -> Venue:
        """Open a venue on the clock that is moved by hand."""
        return await self.stack.enter_async_context(Venue(settings, self.clock))

    async def trader(self, venue: Venue, account: str = "main", **login: object) -> Trader:
        """Connect and log in; logins of one key are a second apart on the venue's clock."""
        trader = await self.stranger(venue, account)
        self.clock.advance(1)
        answer = await trader.login(**login)
        assert (answer["event"], int(answer["code"])) == ("login", 0)
        return trader

    async def stranger(self, venue: Venue, account: str = "main") -> Trader:
        """Connect without logging in."""
        trader = Trader(venue, self.session, account)
        self.stack.push_async_callback(trader.close)
        return await trader.connect()
