"""The table of lives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.life import IN_FLIGHT, OVER, TABLE, UNSENT, Event, LifeError, State, step


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", Event)
def test_every_pair_is_a_row_or_a_mistake(state: State, event: Event) -> None:
    """Whatever the table does not hold raises, and names both."""
    if (state, event) in TABLE:
        assert TABLE[state, event] is step(state, event)
        return
    with pytest.raises(LifeError, match=f"is {state} cannot be {event}"):
        step(state, event)


@given(st.lists(st.sampled_from(Event), max_size=12))
def test_what_is_over_stays_over_and_what_was_written_is_never_unsent_again(events: list[Event]) -> None:
    """No sequence of events leads back from an answer, nor from the socket into a lane without the venue's refusal."""
    state, written, over = State.QUEUED, False, False
    for event in events:
        if (state, event) not in TABLE:
            continue
        state = step(state, event)
        written |= event in {Event.WRITTEN, Event.INHERITED}
        written &= not (event is Event.DEFERRED and state is State.QUEUED)
        over |= event in {Event.DECIDED, Event.ACKED, Event.GIVEN_UP}
        assert not (written and state in UNSENT)
        assert not over or state in OVER


def test_only_the_venue_speaks_about_what_was_written() -> None:
    """The bridge decides about commands that are certainly unsent, and about no others."""
    assert {state for state, event in TABLE if event is Event.DECIDED} == set(UNSENT)
    assert not {state for state, event in TABLE if event is Event.DECIDED} & IN_FLIGHT
    assert {state for state, event in TABLE if event is Event.GIVEN_UP} == {State.UNKNOWN}
    assert not {state for state, event in TABLE if event is Event.LANDED_LATE} - OVER


def test_every_state_can_be_reached_and_ends_as_recorded() -> None:
    """There is a way from every state to a durable last word."""
    for first in State:
        seen, todo = {first}, [first]
        while todo:
            state = todo.pop()
            for (before, _), after in TABLE.items():
                if before is state and after not in seen:
                    seen.add(after)
                    todo.append(after)
        assert State.RECORDED in seen
