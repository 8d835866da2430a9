"""Session and REST against the sandbox, which reads the venue's documents independently, in both dialects."""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.config import AccountConfig, Endpoint, Timing
from bridge.contract.session import Cause
from bridge.core.now import Now
from bridge.core.records import Answer, Push, Received
from bridge.core.skew import ClockReading
from bridge.errors import LoginRefused, VenueRefused
from bridge.ltp.login_refusals import KeyCheck
from bridge.ltp.rest import RestClient
from bridge.ltp.session import Session
from bridge.ltp.wire import encode_action
from bridge.sandbox.venue.dialects import Dialect
from bridge.sandbox.venue.ledger import EntryKind
from bridge.sandbox.venue.settings import VenueSettings
from bridge.sandbox.venue.venue import Venue
from tests.support.listening import make_session
from tests.support.small_rest import read_all

OLDER = Dialect(
    login_success="string_code",
    login_failure="older",
    action_failure="older",
    heartbeat="text",
    rest_success_code=200,
    rest_failure_status=400,
)
ORDER = {
    "clientOrderId": "a1",
    "sym": "BINANCE_PERP_BTC_USDT",
    "side": "BUY",
    "orderType": "LIMIT",
    "timeInForce": "GTC",
    "orderQty": "0.1",
    "limitPrice": "10000",
}


class Inbox:
    """A listener that queues the events of a session."""

    def __init__(self) -> None:
        self.frames: asyncio.Queue[Received] = asyncio.Queue()
        self.logins: asyncio.Queue[str] = asyncio.Queue()
        self.losses: list[Cause] = []

    def logged_in(self, endpoint: str, now: Now) -> None:
        """Queue it."""
        self.logins.put_nowait(endpoint)

    def received(self, event: Received, now: Now) -> None:
        """Queue it."""
        self.frames.put_nowait(event)

    async def wait_for_room(self) -> bool:
        """Have room."""
        return False

    def lost(self, endpoint: str, cause: Cause, detail: str, now: Now) -> None:
        """Write it down."""
        self.losses.append(cause)

    def attempt_failed(self, endpoint: str, cause: Cause, detail: str, now: Now) -> None:
        """Ignore it: later events matter here."""

    def clock_read(self, reading: ClockReading, now: Now) -> None:
        """Ignore it: both read one clock."""

    async def take(self, kind: type[Received]) -> Received:
        """Return the next frame of a kind."""
        while not isinstance(frame := await self.frames.get(), kind):
            pass
        return frame


def endpoint(venue: Venue) -> Endpoint:
    """Return where the sandbox is."""
    return Endpoint(name="T", ws_url=venue.ws_url, rest_url=venue.rest_url)


def keys(venue: Venue, folder: Path, secret: str | None = None) -> AccountConfig:
    """Write the sandbox's key to files."""
    key = venue.keys["main"]
    (folder / "key").write_text(key.api_key)
    (folder / "secret").write_text(secret or key.api_secret)
    return AccountConfig(api_key_file=folder / "key", api_secret_file=folder / "secret")


def session(venue: Venue, account: AccountConfig, inbox: Inbox, rest: RestClient | None = None) -> Session:
    """Make a session that pings every 0.2 s."""
    timing = Timing(ping_interval_s=0.2, pong_deadline_s=1.0, login_give_up_s=0.1)
    return make_session(inbox, [endpoint(venue)], account, timing, random=random.random, rest=rest)


@pytest.mark.parametrize("dialect", [Dialect(), OLDER])
async def test_an_order_and_a_cut(dialect: Dialect, tmp_path: Path, clock: Callable[[], Now]) -> None:
    """An order is acked, pushed byte for byte and found by REST. After a cut the session is back, logins spaced."""
    inbox = Inbox()
    async with asyncio.timeout(20), Venue(VenueSettings(dialect=dialect)) as venue:
        account = keys(venue, tmp_path)
        living = session(venue, account, inbox)
        task = asyncio.create_task(living.run())
        await inbox.logins.get()
        assert living.ready_to_write(clock())
        living.send(encode_action("p-1", "place_order", ORDER))
        answer = await inbox.take(Answer)
        assert isinstance(answer, Answer)
        assert (answer.request_id, answer.code, answer.client_order_id) == ("p-1", 200000, "a1")
        push = await inbox.take(Push)
        assert isinstance(push, Push)
        event = venue.ledger.events("Orders", venue.keys["main"].portfolio_id)[0]
        assert (event.frame, event.payload) == (push.frame, push.data)

        async with RestClient((endpoint(venue),), account, clock) as rest:
            assert [row.order.client_order_id for row in await read_all(rest.fetch_open_orders())] == ["a1"]
            found = await rest.fetch_order(client_order_id="a1")
            assert found is not None
            assert answer.order_id == found.order.order_id
            assert await rest.fetch_order(client_order_id="a2") is None
            assert {"BINANCE"} <= {risk.exchange_type for risk in await rest.fetch_account_states()}

        venue.cut_connections()
        await inbox.logins.get()
        assert inbox.losses == [Cause.LINK_FAILED]
        assert min(venue.ledger.login_gaps_s(venue.keys["main"].api_key)) >= 1
        task.cancel()
        await asyncio.wait([task])


async def test_reading_goes_on_at_the_other_tier(tmp_path: Path, clock: Callable[[], Now]) -> None:
    """Requests stay there when the first tier is back, until `prefer` is called; a probe shows when that may be."""
    async with asyncio.timeout(20), Venue(VenueSettings(tiers=("az4", "ha"))) as venue:
        tiers = [Endpoint(name=one.name, ws_url=one.ws_url, rest_url=one.rest_url) for one in venue.tiers.values()]
        async with RestClient(tiers, keys(venue, tmp_path), clock) as rest:
            await read_all(rest.fetch_open_orders())
            await venue.close_tier("az4")
            assert not await rest.probe("az4")
            await read_all(rest.fetch_open_orders())
            await venue.open_tier("az4")
            assert await rest.probe("az4")
            await read_all(rest.fetch_open_orders())
            rest.prefer("az4")
            await read_all(rest.fetch_open_orders())
        asked = [
            entry.facts["tier"] for entry in venue.ledger.entries(EntryKind.REST) if "orders" in entry.facts["path"]
        ]
    assert asked == ["az4", "ha", "ha", "az4"]


@pytest.mark.parametrize("dialect", [Dialect(), OLDER, Dialect(login_codes="specific")])
async def test_a_wrong_secret(dialect: Dialect, tmp_path: Path, clock: Callable[[], Now]) -> None:
    """WebSocket and REST refuse it with a code and advice; both together end the session."""
    async with asyncio.timeout(60), Venue(VenueSettings(dialect=dialect)) as venue:
        account = keys(venue, tmp_path, secret="sk-wrong")
        async with RestClient((endpoint(venue),), account, clock) as rest:
            assert await rest.check_key() is KeyCheck.REFUSED
            with pytest.raises(LoginRefused, match="check that key and secret belong together"):
                await session(venue, account, Inbox(), rest).run()
            with pytest.raises(VenueRefused, match="check that key and secret belong together") as caught:
                await rest.fetch_account_states()
    assert caught.value.code == 2000


async def test_text_pings_alone_keep_a_session(tmp_path: Path, clock: Callable[[], Now]) -> None:
    """A venue that answers only the bare word keeps its session through many pings."""
    inbox = Inbox()
    async with asyncio.timeout(20), Venue(VenueSettings(dialect=OLDER)) as venue:
        task = asyncio.create_task(session(venue, keys(venue, tmp_path), inbox).run())
        await inbox.logins.get()
        pings = iter(range(10_000))
        while sum(entry.facts["style"] == "text" for entry in venue.ledger if entry.kind == "PING") < 4:
            assert next(pings) < 1000
            await asyncio.sleep(0.01)
        assert inbox.losses == []
        task.cancel()
        await asyncio.wait([task])
