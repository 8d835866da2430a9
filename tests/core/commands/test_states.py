"""The table of a command's states."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.commands.states import (
    FINISHED,
    IN_FLIGHT,
    TABLE,
    UNSENT,
    CommandEvent,
    CommandState,
    IllegalTransition,
    step,
)


@pytest.mark.parametrize("state", CommandState)
@pytest.mark.parametrize("event", CommandEvent)
def test_every_pair_is_a_row_or_a_mistake(state: CommandState, event: CommandEvent) -> None:
    """A pair that the table does not hold raises an error that names both."""
    if (state, event) in TABLE:
        assert TABLE[state, event] is step(state, event)
        return
    with pytest.raises(IllegalTransition, match=f"is {state} cannot be {event}"):
        step(state, event)


@given(st.lists(st.sampled_from(CommandEvent), max_size=12))
def test_what_is_over_stays_over_and_what_was_written_is_never_unsent_again(events: list[CommandEvent]) -> None:
    """No sequence of events leads back from a result, nor from SENT to QUEUED without a refusal of the venue."""
    state, written, over = CommandState.QUEUED, False, False
    for event in events:
        if (state, event) not in TABLE:
            continue
        state = step(state, event)
        written |= event in {CommandEvent.WRITTEN, CommandEvent.INHERITED}
        written &= not (event is CommandEvent.RATE_REFUSED and state is CommandState.QUEUED)
        over |= event in {CommandEvent.DECIDED, CommandEvent.ACKED, CommandEvent.NOT_FOUND}
        assert not (written and state in UNSENT)
        assert not over or state in FINISHED


def test_only_the_venue_ends_a_command_that_was_written() -> None:
    """The bridge itself ends only commands that are certainly unsent."""
    assert {state for state, event in TABLE if event is CommandEvent.DECIDED} == set(UNSENT)
    assert not {state for state, event in TABLE if event is CommandEvent.DECIDED} & IN_FLIGHT
    assert {state for state, event in TABLE if event is CommandEvent.NOT_FOUND} == {CommandState.UNKNOWN}
    assert not {state for state, event in TABLE if event is CommandEvent.SEEN_LATE} - FINISHED


def test_every_state_can_be_reached_and_ends_as_recorded() -> None:
    """From every state some events lead to a durable result."""
    for first in CommandState:
        seen, todo = {first}, [first]
        while todo:
            state = todo.pop()
            for (before, _), after in TABLE.items():
                if before is state and after not in seen:
                    seen.add(after)
                    todo.append(after)
        assert CommandState.RECORDED in seen
