"""How often REST may be asked: on a clock that a test moves, and against the sandbox, which counts for itself."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.config import Account, Endpoint
from bridge.core.now import Now
from bridge.errors import VenueUnreachable
from bridge.ltp import rest_pace
from bridge.ltp.rest import RestClient
from bridge.ltp.rest_pace import LIMITS, Family, Limit, Pace
from bridge.sandbox.venue import settings
from bridge.sandbox.venue.ledger import Kind
from bridge.sandbox.venue.venue import Venue
from tests.support.small_rest import read_all

NAMES = {
    Family.ORDER: "rest_order",
    Family.OPEN_ORDERS: "rest_open_orders",
    Family.HISTORY: "rest_history_orders",
    Family.EXECUTIONS: "rest_executions",
    Family.ASSETS: "rest_assets",
    Family.POSITIONS: "rest_position",
    Family.ACCOUNT: "rest_account",
}


class Hand:
    """Time that passes only while somebody waits for it."""

    def __init__(self) -> None:
        self.mono = 1000.0
        self.pace = Pace(lambda: Now(self.mono, 0), self.sleep)
        self.asked: list[tuple[str, float]] = []
        self.passed: Callable[[], None] = lambda: None

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.mono += seconds
        self.passed()
        await asyncio.sleep(0)

    async def ask(self, name: str = "", family: Family = Family.EXECUTIONS, lasting_s: float = 0) -> None:
        """Ask something that takes so long."""
        async with self.pace.slot(family):
            self.asked.append((name, self.mono - 1000))
            self.mono += lasting_s


def test_the_limits_are_those_that_the_sandbox_read_for_itself() -> None:
    """Two readings of the documents agree."""
    assert LIMITS.keys() == NAMES.keys()
    for family, name in NAMES.items():
        documented = settings.DOCUMENTED_LIMITS[name]
        assert (documented.count, documented.window_s) == LIMITS[family]


async def test_a_budget_goes_out_at_once_and_the_next_after_a_full_window() -> None:
    """Four fifths of five in ten seconds are four; a slot cools from its answer on."""
    hand = Hand()
    for _ in range(6):
        await hand.ask(lasting_s=1)
    assert [at for _, at in hand.asked] == [0, 1, 2, 3, 11.5, 12.5]


async def test_each_limit_counts_for_itself() -> None:
    """Executions that wait hold no order up."""
    hand = Hand()
    for _ in range(4):
        await hand.ask()
    await hand.ask(family=Family.ORDER)
    assert [at for _, at in hand.asked] == [0] * 5


async def test_slots_go_to_those_who_asked_first() -> None:
    """Nobody is overtaken, though a slot comes free while others come."""
    hand = Hand()
    await asyncio.gather(*(hand.ask(str(number)) for number in range(9)))
    assert list("012345678") == [name for name, _ in hand.asked]
    assert [at for _, at in hand.asked] == [0] * 4 + [10.5] * 4 + [21]


async def test_while_all_slots_are_being_asked_with_the_next_waits_for_their_answers() -> None:
    """However long these take."""
    hand = Hand()
    answered = asyncio.Event()
    hand.passed = lambda: answered.set() if hand.mono >= 1030 else None

    async def slow() -> None:
        async with hand.pace.slot(Family.ACCOUNT):
            await answered.wait()

    await asyncio.gather(slow(), hand.ask(family=Family.ACCOUNT))
    assert hand.asked[0][1] >= 30 + 1.5


async def test_a_failure_gives_its_slot_back_too() -> None:
    """It may have been counted, so it cools like any other."""
    hand = Hand()
    for _ in range(4):
        with pytest.raises(VenueUnreachable):
            async with hand.pace.slot(Family.EXECUTIONS):
                raise VenueUnreachable("no answer")
    await hand.ask()
    assert hand.asked == [("", 10.5)]


async def test_a_refusal_for_its_rate_closes_the_family_for_a_window() -> None:
    """The venue counted differently: whatever it counted has passed by then."""
    hand = Hand()
    hand.pace.refused(Family.EXECUTIONS)
    await hand.ask("later")
    await hand.ask("others", Family.HISTORY)
    assert hand.asked[0] == ("later", 10.5)
    assert hand.mono == 1010.5


async def test_refusals_now_and_then_leave_the_budget_whole() -> None:
    """Somebody else uses the key once a day for a moment; two weeks later as much may be asked as before."""
    hand = Hand()
    for _ in range(14):
        hand.pace.refused(Family.EXECUTIONS)
        assert hand.pace.slowed_limits == ["rest_executions"]
        hand.mono += 86_400
    assert hand.pace.slowed_limits == []
    await asyncio.gather(*(hand.ask(str(n)) for n in range(4)))
    assert len({at for _, at in hand.asked}) == 1


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let five executions in half a second be the limit."""
    monkeypatch.setitem(rest_pace.LIMITS, Family.EXECUTIONS, Limit(5, 0.5))


async def test_the_venue_never_has_to_refuse(hurried: None, tmp_path: Path, clock: Callable[[], Now]) -> None:
    """Though many ask at the same time."""
    async with asyncio.timeout(30), Venue() as venue:
        venue.limits.set("rest_executions", settings.Limit(5, 0.5))
        async with _client(venue, tmp_path, clock) as rest:
            await asyncio.gather(*(read_all(rest.executions(None, clock().wall_ms - 1000)) for _ in range(10)))
        assert venue.ledger.entries(Kind.LIMITED) == []
        assert venue.ledger.busiest_window("rest_executions", venue.portfolio().portfolio_id, 0.5) == 4


async def test_after_a_refusal_the_venue_is_left_alone(hurried: None, tmp_path: Path, clock: Callable[[], Now]) -> None:
    """Another program of the same key had used the limit up; the next question waits and is answered."""
    async with asyncio.timeout(30), Venue() as venue:
        venue.limits.set("rest_executions", settings.Limit(1, 0.5))
        async with _client(venue, tmp_path, clock) as rest:
            await read_all(rest.executions(None, clock().wall_ms - 1000))
            with pytest.raises(VenueUnreachable, match="429"):
                await read_all(rest.executions(None, clock().wall_ms - 1000))
            assert await read_all(rest.executions(None, clock().wall_ms - 1000)) == ()
        assert len(venue.ledger.entries(Kind.LIMITED)) == 1


def _client(venue: Venue, folder: Path, clock: Callable[[], Now]) -> RestClient:
    key = venue.keys["main"]
    (folder / "key").write_text(key.api_key)
    (folder / "secret").write_text(key.api_secret)
    account = Account(api_key_file=folder / "key", api_secret_file=folder / "secret")
    return RestClient([Endpoint(name="T", ws_url=venue.ws_url, rest_url=venue.rest_url)], account, clock)
