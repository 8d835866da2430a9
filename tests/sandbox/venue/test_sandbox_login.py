"""Logging in to the private WebSocket."""

from typing import TYPE_CHECKING

import pytest

from bridge.sandbox.venue.dialects import Dialect
from bridge.sandbox.venue.ledger import EntryKind
from bridge.sandbox.venue.settings import AccountSettings, VenueSettings
from bridge.sandbox.venue.venue import Venue

if TYPE_CHECKING:
    from tests.support.trader import Exchange, Trader

CURRENT_FAILURE = {"id": None, "event": "login", "code": 60009, "msg": "Login failed."}


async def test_good_login_is_answered_with_zero(exchange: "Exchange", venue: Venue) -> None:
    """The current success shape carries the number 0 and a null id."""
    trader = await exchange.stranger(venue)
    assert await trader.login() == {"id": None, "event": "login", "code": 0, "msg": "", "data": None}


@pytest.mark.parametrize(
    ("shape", "answer"),
    [
        ("brief", {"event": "login", "code": 0, "msg": ""}),
        ("string_code", {"event": "login", "code": "0", "msg": ""}),
    ],
)
async def test_older_success_shapes(exchange: "Exchange", shape: str, answer: dict[str, object]) -> None:
    """The older success shapes can be switched on."""
    venue = await exchange.open(VenueSettings(dialect=Dialect(login_success=shape)))  # type: ignore[arg-type] # each is one
    assert answer == await (await exchange.stranger(venue)).login()


WRONG: list[tuple[dict[str, object], int]] = [
    ({"apiKey": "ak-unknown"}, 601007),
    ({"sign": "00" * 32}, 601009),
    ({"sign": ""}, 601018),
    ({"timestamp": ""}, 601017),
    ({"timestamp": "1538054050"}, 601016),
    ({"timestamp": "1795206945669"}, 601016),
    ({"timestamp": 1538054050}, 601016),
    ({"onlyTrade": "true"}, 601001),
]


@pytest.mark.parametrize(("changes", "code"), WRONG)
async def test_bad_login_is_refused(exchange: "Exchange", venue: Venue, changes: dict[str, object], code: int) -> None:
    """The current answer to every bad login has the generic code."""
    trader = await exchange.stranger(venue)
    assert await trader.login(**changes) == CURRENT_FAILURE
    assert (await trader.place())["code"] == 4000


@pytest.mark.parametrize(("changes", "code"), WRONG)
async def test_bad_login_by_specific_code(exchange: "Exchange", changes: dict[str, object], code: int) -> None:
    """With specific codes, each error has its own code."""
    venue = await exchange.open(VenueSettings(dialect=Dialect(login_codes="specific")))
    trader = await exchange.stranger(venue)
    assert code == (await trader.login(**changes))["code"]


async def test_older_failure_shape(exchange: "Exchange") -> None:
    """The older failure is an error event with a text code."""
    venue = await exchange.open(VenueSettings(dialect=Dialect(login_failure="older")))
    answer = await (await exchange.stranger(venue)).login(sign="00")
    assert answer == {"event": "error", "code": "60009", "msg": "Login failed."}


async def test_second_login_within_a_second_is_refused(exchange: "Exchange", venue: Venue) -> None:
    """A key may log in once a second, over all its sockets."""
    first, second = await exchange.stranger(venue), await exchange.stranger(venue)
    assert (await first.login())["code"] == 0
    exchange.clock.advance(0.999)
    assert (await second.login())["code"] == 601010
    exchange.clock.advance(0.001)
    assert (await second.login())["code"] == 0
    assert pytest.approx([0.999, 0.001]) == venue.ledger.login_gaps_s(first.key.api_key)


async def test_login_limits_of_keys_are_apart(exchange: "Exchange") -> None:
    """The login of one key does not affect another key."""
    accounts = (AccountSettings(name="one"), AccountSettings(name="two"))
    venue = await exchange.open(VenueSettings(accounts=accounts))
    for name in ("one", "two"):
        assert (await (await exchange.stranger(venue, name)).login())["code"] == 0


async def test_trading_only_connection_gets_no_pushes(exchange: "Exchange", venue: Venue) -> None:
    """A connection with onlyTrade gets acks and no pushes; another connection of the key gets the pushes."""
    quiet = await exchange.trader(venue, onlyTrade=True)
    full = await exchange.trader(venue)
    assert (await quiet.place())["code"] == 200000
    await full.push("Orders", orderState="OPEN")
    await quiet.settle()
    assert [frame for frame in quiet.frames if "channel" in frame] == []


async def test_action_before_login_is_refused(exchange: "Exchange", venue: Venue) -> None:
    """An action on a connection that is not logged in is refused."""
    trader = await exchange.stranger(venue)
    assert (await trader.place())["code"] == 4000
    assert venue.ledger.entries(EntryKind.VERDICT) == []


async def test_revoked_key_cannot_log_in(exchange: "Exchange", venue: Venue, trader: "Trader") -> None:
    """A login with a revoked key is refused."""
    venue.keys.revoke(trader.key.api_key)
    exchange.clock.advance(1)
    assert await trader.login() == CURRENT_FAILURE


async def test_login_is_in_the_ledger_without_the_secret(venue: Venue, trader: "Trader") -> None:
    """The ledger records the login, and no entry has the secret."""
    (entry,) = venue.ledger.entries(EntryKind.LOGIN)
    assert entry.facts == {"api_key": trader.key.api_key, "code": 0, "only_trade": False}
    assert not any(trader.key.api_secret in repr(entry) for entry in venue.ledger)
