"""The command table: every index of a command, and what its one end takes it out of."""

from itertools import count

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bridge.contract.commands import CANCEL, PLACE, REPLACE
from bridge.contract.results import Outcome
from bridge.core.commands.command import TrackedCommand
from bridge.core.commands.command_table import CommandTable
from bridge.core.commands.states import IN_FLIGHT, CommandState
from bridge.core.orders import Order, Orders
from tests.support.one_account import order_push

NAMES = ("a", "b")
ORDER_IDS = ("11", "12")


def _command(offset: int, action: str = PLACE, *, command_id: str | None = None, name: str = "a") -> TrackedCommand:
    return TrackedCommand(
        offset, 0, command_id or f"c{offset}", action, {}, 60.0, "", (), client_order_id=name, order_key=name
    )


def _added(offset: int, action: str = PLACE, *, name: str = "a") -> tuple[CommandTable, TrackedCommand]:
    """Return a table with one command; a place holds its clientOrderId."""
    table, command = CommandTable(), _command(offset, action, name=name)
    table.add(command)
    if action == PLACE:
        table.hold_client_order_id(command)
    return table, command


def _write(table: CommandTable, command: TrackedCommand, request_id: str, at_boot_s: float) -> None:
    """Write a request of a command."""
    if command.state is not CommandState.UNKNOWN:
        command.state = CommandState.SENT
    command.written_boot_s, command.request_id = at_boot_s, request_id
    table.await_ack(command, request_id, (command.offset, request_id))
    if command.action != PLACE:
        table.add_order_names(command)


def _finish(table: CommandTable, command: TrackedCommand, outcome: Outcome) -> None:
    command.state, command.outcome = CommandState.ANSWERED, outcome
    table.finish(command)


def _order(order_id: str, client_order_id: str) -> Order:
    return Orders(0).update(order_push(client_order_id, orderId=order_id))


def test_a_command_without_a_result_is_found_by_all_its_names() -> None:
    """By its offset, its commandId, its clientOrderId, and, since it was written, by its order and its request."""
    table, place = _added(3)
    assert table.find_by_offset(3) is table.find_by_command_id("c3") is table.find_holder("a") is place
    assert table.find_in_flight_place("a") is None
    _write(table, place, "r", 1.0)
    assert table.find_in_flight_place("a") is place
    assert [place] == list(table.iter_in_flight([2, 3]))
    request = table.pop_request("r")
    assert request is not None
    assert request.command is place
    assert len(table) == 1


@pytest.mark.parametrize("action", [REPLACE, CANCEL])
def test_a_finished_command_is_found_by_its_offset_alone(action: str) -> None:
    """Nothing leads to a second result of it; it stays in the table until the first is durable."""
    table, command = _added(3, action)
    command.order_id = "11"
    _write(table, command, "r", 1.0)
    assert table.has_in_flight(action, "11")
    for _ in range(2):  # a second time changes nothing
        _finish(table, command, Outcome.ACCEPTED)
    assert len(table) == 0
    assert table.find_by_command_id("c3") is None
    assert not table.has_in_flight(action, "11", "a")
    assert table.find_in_flight(_order("11", "a"), action) == []
    assert list(table.iter_in_flight([3])) == []
    assert table.find_queried(3) is None
    assert table.count_awaiting() == 0
    assert table.find_by_offset(3) is command
    assert table.forget(3) is command
    assert table.find_by_offset(3) is None
    assert table.forget(3) is None


def test_a_finished_place_that_was_sent_holds_its_client_order_id_no_longer() -> None:
    """Its result says which command the name belongs to."""
    table, place = _added(3)
    _write(table, place, "r", 1.0)
    _finish(table, place, Outcome.NOT_FOUND)
    assert table.find_holder("a") is None


def test_a_place_that_was_never_sent_holds_its_client_order_id_until_its_result_is_durable() -> None:
    """Were the result lost, the next owner would find it and a later place of the same name, both unanswered."""
    table, place = _added(3)
    _finish(table, place, Outcome.DENIED)
    assert table.find_holder("a") is place
    table.forget(3)
    assert table.find_holder("a") is None


def test_a_place_without_a_client_order_id_holds_none() -> None:
    """There is no name by which it could be found."""
    table, place = _added(3, CANCEL)
    place.action, place.client_order_id = PLACE, None
    table.hold_client_order_id(place)
    assert table.find_holder("") is None
    assert table.find_in_flight_place(None) is None


def test_a_finished_command_does_not_take_the_place_of_another() -> None:
    """A commandId or clientOrderId that belongs to another command by now stays with that one."""
    table, first = _added(3)
    _finish(table, first, Outcome.DENIED)
    second = _command(4, command_id="c3")
    table.add(second)
    table.hold_client_order_id(second)
    table.finish(first)
    table.forget(3)
    assert table.find_by_command_id("c3") is table.find_holder("a") is second


def test_a_request_is_acknowledged_once() -> None:
    """A second ack of it, and one that names no request, finds nothing."""
    table, place = _added(3)
    _write(table, place, "r", 1.0)
    request = table.pop_request("r")
    assert request is not None
    assert request.slot_key == (3, "r")
    assert not place.awaits_ack
    assert table.pop_request("r") is None
    assert table.pop_request(None) is None


def test_an_ack_of_an_earlier_request_leaves_the_last_one_awaited() -> None:
    """A cancel that was repeated awaits the ack of its repeat, whatever the first one's says."""
    table, cancel = _added(3, CANCEL)
    _write(table, cancel, "first", 1.0)
    _write(table, cancel, "repeat", 2.0)
    assert table.pop_request("first") is not None
    assert (cancel.awaits_ack, table.count_awaiting()) == (True, 1)
    assert table.pop_request("repeat") is not None
    assert (cancel.awaits_ack, table.count_awaiting()) == (False, 0)


def test_the_request_of_a_finished_command_can_be_acknowledged() -> None:
    """Its slot is in use until then."""
    table, place = _added(3)
    _write(table, place, "r", 1.0)
    _finish(table, place, Outcome.ACCEPTED)
    table.forget(3)
    assert table.pop_request("r") is not None


def test_a_lost_link_forgets_requests_in_the_order_of_their_writes() -> None:
    """What was acknowledged is not among them, and no ack is awaited afterwards."""
    table = CommandTable()
    for offset, at_boot_s in ((1, 30.0), (2, 10.0), (3, 20.0), (4, 5.0)):
        command = _command(offset)
        table.add(command)
        _write(table, command, f"r{offset}", at_boot_s)
    table.pop_request("r4")
    assert [command.offset for command in table.forget_requests()] == [2, 3, 1]
    assert table.pop_request("r1") is None
    assert table.count_awaiting() == 0
    assert table.forget_requests() == []


def test_a_cancel_by_order_id_learns_the_client_order_id_of_its_order() -> None:
    """From then on it is found by both names."""
    table, cancel = _added(3, CANCEL, name="")
    cancel.client_order_id, cancel.order_id = None, "11"
    _write(table, cancel, "r", 1.0)
    assert table.find_in_flight(_order("11", "a"), CANCEL) == [cancel]
    assert table.has_in_flight(CANCEL, "a")
    assert not table.has_in_flight(REPLACE, "a")


class TableMachine(RuleBasedStateMachine):
    """Adds, writes, acknowledges, finishes and forgets commands, and compares the table with what was done to it."""

    def __init__(self) -> None:
        super().__init__()
        self.table = CommandTable()
        self.ids = count()
        self.open: dict[int, TrackedCommand] = {}
        self.finished: dict[int, TrackedCommand] = {}
        self.holders: dict[str, TrackedCommand] = {}
        self.named: dict[int, set[str]] = {}
        """The names of their order that replaces and cancels were written with, while they are open."""
        self.requests: dict[str, TrackedCommand] = {}
        self.awaiting: dict[int, tuple[float, str]] = {}
        """When each command that awaits an ack was last written, and the id of that request."""

    @rule(action=st.sampled_from((PLACE, REPLACE, CANCEL)), name=st.sampled_from(NAMES))
    def add(self, action: str, name: str) -> None:
        """Read a command; a place holds its name if that is free."""
        command = _command(next(self.ids), action, name=name)
        self.open[command.offset] = command
        self.table.add(command)
        if action == PLACE and name not in self.holders:
            self.holders[name] = command
            self.table.hold_client_order_id(command)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), order_id=st.sampled_from(ORDER_IDS))
    def write(self, data: st.DataObject, order_id: str) -> None:
        """Write a command for the first time, or again."""
        command = data.draw(st.sampled_from(list(self.open.values())))
        number = next(self.ids)
        command.order_id = None if command.action == PLACE else order_id
        _write(self.table, command, f"r{number}", float(number))
        self.requests[f"r{number}"] = command
        self.awaiting[command.offset] = float(number), f"r{number}"
        if command.action != PLACE:
            self.named.setdefault(command.offset, set()).update((order_id, command.client_order_id or ""))

    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        """Let an ack name a request that is open, was acknowledged before, or never was."""
        request_id = f"r{data.draw(st.integers(0, 40))}"
        command, request = self.requests.pop(request_id, None), self.table.pop_request(request_id)
        assert command is (None if request is None else request.command)
        if command is not None and self.awaiting.get(command.offset, (0.0, ""))[1] == request_id:
            del self.awaiting[command.offset]

    @rule()
    def lose_link(self) -> None:
        """Lose the link: no ack comes any more."""
        expected = [offset for offset, _ in sorted(self.awaiting.items(), key=lambda one: one[1])]
        self.requests.clear()
        self.awaiting.clear()
        assert expected == [command.offset for command in self.table.forget_requests()]

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def ask(self, data: st.DataObject) -> None:
        """Ask the venue about a command, if it was written."""
        command = data.draw(st.sampled_from(list(self.open.values())))
        if command.state in IN_FLIGHT:
            command.state, command.next_query_boot_s = CommandState.UNKNOWN, 1.0

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        """Publish a terminal result."""
        command = data.draw(st.sampled_from(list(self.open.values())))
        is_sent = command.state in IN_FLIGHT
        self.finished[command.offset] = self.open.pop(command.offset)
        self.named.pop(command.offset, None)
        _finish(self.table, command, Outcome.ACCEPTED if is_sent else Outcome.EXPIRED)
        if is_sent and self.holders.get(command.client_order_id or "") is command:
            del self.holders[command.client_order_id or ""]

    @precondition(lambda self: self.finished)
    @rule(data=st.data())
    def forget(self, data: st.DataObject) -> None:
        """Let a terminal result become durable."""
        offset = data.draw(st.sampled_from(list(self.finished)))
        command = self.finished.pop(offset)
        self.awaiting.pop(offset, None)
        assert self.table.forget(offset) is command
        if self.holders.get(command.client_order_id or "") is command:
            del self.holders[command.client_order_id or ""]

    @invariant()
    def every_index_agrees(self) -> None:
        """Find exactly the commands that the table should hold, by each of their names."""
        table, known = self.table, self.open | self.finished
        asked = sorted(offset for offset, one in self.open.items() if one.state is CommandState.UNKNOWN)
        assert len(self.open) == len(table)
        assert asked == [command.offset for command in table.list_queried()]
        assert sum(offset in self.open for offset in self.awaiting) == table.count_awaiting()
        for offset in range(41):
            assert known.get(offset) is table.find_by_offset(offset)
            assert self.open.get(offset) is table.find_by_command_id(f"c{offset}")
            assert (offset in asked) == (table.find_queried(offset) is not None)
        for name in NAMES:
            holder = self.holders.get(name)
            assert holder is table.find_holder(name)
            assert table.find_in_flight_place(name) is (holder if holder and holder.state in IN_FLIGHT else None)
        for name in (*NAMES, *ORDER_IDS):
            for action in (REPLACE, CANCEL):
                named = {offset for offset, names in self.named.items() if name in names}
                assert table.has_in_flight(action, name) == any(self.open[one].action == action for one in named)


TestTable = TableMachine.TestCase
