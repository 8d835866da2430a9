"""The rate limits of REST: on a clock that a test moves, and against the sandbox, which counts independently."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.config import AccountConfig, Endpoint
from bridge.core.now import Now
from bridge.errors import VenueUnreachable
from bridge.ltp import rest_rate_limiter
from bridge.ltp.rest import RestClient
from bridge.ltp.rest_rate_limiter import LIMITS, Limit, LimitGroup, RestRateLimiter
from bridge.sandbox.venue import settings
from bridge.sandbox.venue.ledger import EntryKind
from bridge.sandbox.venue.venue import Venue
from tests.support.small_rest import read_all

NAMES = {
    LimitGroup.ORDER: "rest_order",
    LimitGroup.OPEN_ORDERS: "rest_open_orders",
    LimitGroup.HISTORY: "rest_history_orders",
    LimitGroup.EXECUTIONS: "rest_executions",
    LimitGroup.ASSETS: "rest_assets",
    LimitGroup.POSITIONS: "rest_position",
    LimitGroup.ACCOUNT: "rest_account",
    LimitGroup.SYMBOLS: "rest_symbols",
}


class ManualTime:
    """A clock that moves only while a task waits for it."""

    def __init__(self) -> None:
        self.mono = 1000.0
        self.pace = RestRateLimiter(lambda: Now(self.mono, 0), self.sleep)
        self.asked: list[tuple[str, float]] = []
        self.passed: Callable[[], None] = lambda: None

    async def sleep(self, seconds: float) -> None:
        """Move the clock."""
        self.mono += seconds
        self.passed()
        await asyncio.sleep(0)

    async def ask(self, name: str = "", family: LimitGroup = LimitGroup.EXECUTIONS, lasting_s: float = 0) -> None:
        """Make a request that takes this long."""
        async with self.pace.slot(family):
            self.asked.append((name, self.mono - 1000))
            self.mono += lasting_s


def test_the_limits_agree_with_the_sandbox() -> None:
    """Two independent readings of the documents agree."""
    assert LIMITS.keys() == NAMES.keys()
    for family, name in NAMES.items():
        documented = settings.DOCUMENTED_LIMITS[name]
        assert (documented.count, documented.window_s) == LIMITS[family]


async def test_a_budget_goes_out_at_once_and_the_next_after_a_full_window() -> None:
    """Four fifths of five in ten seconds are four; a slot cools after its answer."""
    hand = ManualTime()
    for _ in range(6):
        await hand.ask(lasting_s=1)
    assert [at for _, at in hand.asked] == [0, 1, 2, 3, 11.5, 12.5]


async def test_each_limit_counts_for_itself() -> None:
    """Executions that wait do not delay orders."""
    hand = ManualTime()
    for _ in range(4):
        await hand.ask()
    await hand.ask(family=LimitGroup.ORDER)
    assert [at for _, at in hand.asked] == [0] * 5


async def test_slots_are_given_in_the_order_of_requests() -> None:
    """Requests get slots in their order, also while others are added."""
    hand = ManualTime()
    await asyncio.gather(*(hand.ask(str(number)) for number in range(9)))
    assert list("012345678") == [name for name, _ in hand.asked]
    assert [at for _, at in hand.asked] == [0] * 4 + [10.5] * 4 + [21]


async def test_while_all_slots_are_in_use_the_next_request_waits_for_an_answer() -> None:
    """It waits however long the answers take."""
    hand = ManualTime()
    answered = asyncio.Event()
    hand.passed = lambda: answered.set() if hand.mono >= 1030 else None

    async def slow() -> None:
        async with hand.pace.slot(LimitGroup.ACCOUNT):
            await answered.wait()

    await asyncio.gather(slow(), hand.ask(family=LimitGroup.ACCOUNT))
    assert hand.asked[0][1] >= 30 + 1.5


async def test_a_failure_releases_its_slot_too() -> None:
    """The venue may have counted it, so its slot cools like any other."""
    hand = ManualTime()
    for _ in range(4):
        with pytest.raises(VenueUnreachable):
            async with hand.pace.slot(LimitGroup.EXECUTIONS):
                raise VenueUnreachable("no answer")
    await hand.ask()
    assert hand.asked == [("", 10.5)]


async def test_a_rate_refusal_closes_the_limit_group_for_a_window() -> None:
    """The venue counted more: after a window its count is over."""
    hand = ManualTime()
    hand.pace.note_refusal(LimitGroup.EXECUTIONS)
    await hand.ask("later")
    await hand.ask("others", LimitGroup.HISTORY)
    assert hand.asked[0] == ("later", 10.5)
    assert hand.mono == 1010.5


async def test_rare_refusals_leave_the_budget_whole() -> None:
    """Another program uses the key for a moment once a day; two weeks later the budget is as before."""
    hand = ManualTime()
    for _ in range(14):
        hand.pace.note_refusal(LimitGroup.EXECUTIONS)
        assert hand.pace.slowed_limits == ["rest_executions"]
        hand.mono += 86_400
    assert hand.pace.slowed_limits == []
    await asyncio.gather(*(hand.ask(str(n)) for n in range(4)))
    assert len({at for _, at in hand.asked}) == 1


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the limit of executions to five in half a second."""
    monkeypatch.setitem(rest_rate_limiter.LIMITS, LimitGroup.EXECUTIONS, Limit(5, 0.5))


async def test_the_venue_never_has_to_refuse(hurried: None, tmp_path: Path, clock: Callable[[], Now]) -> None:
    """Many requests are made at the same time."""
    async with asyncio.timeout(30), Venue() as venue:
        venue.limits.set_limit("rest_executions", settings.RequestLimit(5, 0.5))
        async with _client(venue, tmp_path, clock) as rest:
            await asyncio.gather(*(read_all(rest.fetch_executions(None, clock().wall_ms - 1000)) for _ in range(10)))
        assert venue.ledger.entries(EntryKind.LIMITED) == []
        assert venue.ledger.busiest_window("rest_executions", venue.portfolio().portfolio_id, 0.5) == 4


async def test_after_a_refusal_the_next_request_waits(hurried: None, tmp_path: Path, clock: Callable[[], Now]) -> None:
    """Another program used up the limit of the key; the next request waits and is answered."""
    async with asyncio.timeout(30), Venue() as venue:
        venue.limits.set_limit("rest_executions", settings.RequestLimit(1, 0.5))
        async with _client(venue, tmp_path, clock) as rest:
            await read_all(rest.fetch_executions(None, clock().wall_ms - 1000))
            with pytest.raises(VenueUnreachable, match="429"):
                await read_all(rest.fetch_executions(None, clock().wall_ms - 1000))
            assert await read_all(rest.fetch_executions(None, clock().wall_ms - 1000)) == ()
        assert len(venue.ledger.entries(EntryKind.LIMITED)) == 1


def _client(venue: Venue, folder: Path, clock: Callable[[], Now]) -> RestClient:
    key = venue.keys["main"]
    (folder / "key").write_text(key.api_key)
    (folder / "secret").write_text(key.api_secret)
    account = AccountConfig(api_key_file=folder / "key", api_secret_file=folder / "secret")
    return RestClient([Endpoint(name="T", ws_url=venue.ws_url, rest_url=venue.rest_url)], account, clock)
