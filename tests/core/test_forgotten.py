"""More trades and ended orders than are remembered: none is lost, and possible duplicates raise an alarm."""

import pytest

from bridge.contract.topics import Stream
from bridge.core import orders as room
from bridge.core import replacements
from bridge.core.stream.sweep import SweepOutcome
from tests.support.one_recovery import LOGIN_MS, OneRecovery, Row, order, trade

AUDIT_S = 60.0
PUSHED_MS = LOGIN_MS + 40_000
REMEMBERED = 3
TRADES = [trade(PUSHED_MS + n, f"t-{n}") for n in range(6)]
ENDED = [order(PUSHED_MS + n, "FILLED", "1", order_id=f"{n}") for n in range(8)]
KINDS = [("trades", TRADES), ("orders", ENDED)]


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> OneRecovery:
    """Return an account on a healthy link that remembers few."""
    monkeypatch.setattr("bridge.core.stream.published_trades._TRADES_MAX", REMEMBERED)
    monkeypatch.setattr("bridge.core.stream.published_states._ENDED_NAMES_MAX", REMEMBERED)
    monkeypatch.setattr("bridge.core.stream.published_states._ENDED_MAX", 2)
    monkeypatch.setattr("bridge.core.stream.published_states.FORGOTTEN_AT_ONCE", 1)
    return OneRecovery().healthy()


def _swept(one: OneRecovery, kind: str, rows: list[Row]) -> SweepOutcome:
    """Sweep, and end the sweep; the newest row comes first, as at the venue."""
    sweep = one.recovery.begin_sweep(one.now)
    one.take(sweep, Stream(kind), *reversed(rows))
    outcome = one.end(sweep)
    one.account.stream.publish_sweep_alarms(sweep, one.now)
    one._collect()
    return outcome


@pytest.mark.parametrize(("kind", "rows"), KINDS)
def test_what_is_forgotten_and_found_again_is_a_gap_that_says_so(
    forgetful: OneRecovery, kind: str, rows: list[Row]
) -> None:
    """REST has not answered for so long that it has to be asked about more than is remembered."""
    one = forgetful
    one.wait(40)
    one.push(Stream(kind), *rows[1:])
    one.wait(AUDIT_S)
    for outcome in (SweepOutcome.NOTHING, SweepOutcome.MISSED):
        assert _swept(one, kind, rows) is outcome
        one.wait(5)
    assert "perhaps pushed and forgotten" in one.recovery.audits.describe_missing()  # which the gap's detail says
    assert one.events("gap.opened")[-1]["fromMs"] < PUSHED_MS
    one.log_in()
    before = len(one.records(Stream(kind)))
    _swept(one, kind, rows)
    names = [record.event_id for record in one.records(Stream(kind))]
    assert len(set(names)) == len(rows)  # the one that was not pushed is there, and the others have their names
    repeated = names[before:]
    assert 1 < len(repeated) < len(rows)
    (alarm,) = one.events("alarm.raised")
    assert alarm["alarm"] == "perhaps_repeated"
    assert alarm["detail"].startswith(f"{len(repeated)} trades or ends of orders")


@pytest.mark.parametrize(("kind", "rows"), KINDS)
def test_what_is_remembered_raises_no_alarm(forgetful: OneRecovery, kind: str, rows: list[Row]) -> None:
    """Nor does what was missed and is younger than all that is forgotten."""
    one = forgetful
    one.wait(40)
    one.push(Stream(kind), *rows[:5])
    one.lose()
    one.wait(1)
    one.log_in()
    _swept(one, kind, rows[4:])
    assert one.events("alarm.raised") == []
    assert len(one.records(Stream(kind))) == len(rows)


def test_so_much_of_what_is_missing_is_named_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not named comes with the gap."""
    monkeypatch.setattr("bridge.core.stream.sweep._MISSING_MAX", 2)
    one = OneRecovery().healthy()
    one.wait(100)
    sweep = one.recovery.begin_sweep(one.now)
    one.take(sweep, Stream.TRADES, *TRADES)
    assert len(sweep.missing) == 2


def test_ended_orders_are_kept_up_to_a_number_of_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is shown again counts once."""
    one = OneRecovery().begin()
    orders = one.account._orders
    one.push(Stream.ORDERS, *(order(LOGIN_MS, "FILLED", "1", name) | {"clientOrderId": name} for name in "ab"))
    monkeypatch.setattr(room, "_ENDED_BYTES_MAX", orders._ended_bytes)
    one.push(Stream.ORDERS, order(LOGIN_MS + 1, "FILLED", "1", "b"))
    assert [orders.find(name, None) is not None for name in "ab"] == [True, True]
    one.push(Stream.ORDERS, order(LOGIN_MS, "FILLED", "1", "c"))
    assert [orders.find(name, None) is not None for name in "abc"] == [False, True, True]
    assert orders.find(None, "a") is None


def test_successors_of_orders_that_are_never_pushed_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest first."""
    monkeypatch.setattr(replacements, "_SUCCESSORS_MAX", 2)
    orders = OneRecovery().account._orders
    for n in range(3):
        orders.replacements.note_successor(f"old-{n}", f"new-{n}")
    assert [orders.replacements.latest_order_id(f"old-{n}") for n in range(3)] == ["old-0", "new-1", "new-2"]
    assert [orders.replacements.is_successor(f"new-{n}") for n in range(3)] == [False, True, True]


def test_a_tombstone_of_an_earlier_owner_ends_what_was_read_before_it() -> None:
    """A topic is read piece by piece; a state from its begin may be gone by its end."""
    one = OneRecovery()
    one.remember(Stream.POSITIONS, {"sym": "OKX_PERP_ETH_USDT", "positionQty": "1", "updateAt": "1"})
    listening, key = one.account.stream, "OKX_PERP_ETH_USDT:NONE"
    assert listening._router.states.last_value(Stream.POSITIONS, key) is not None
    listening.restore_tombstone(Stream.POSITIONS, key.encode())
    assert listening._router.states.last_value(Stream.POSITIONS, key) is None
