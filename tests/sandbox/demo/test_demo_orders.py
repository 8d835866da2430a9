"""The commands of the demo's desk: they follow the contract, except for deliberate mistakes."""

import msgspec

from bridge.contract.commands import Command
from bridge.sandbox.demo.orders import CommandDraft, CommandMix
from bridge.sandbox.venue.instruments import CATALOGUE
from bridge.sandbox.venue.market import Market

DRAWS = 600


def _draw_commands(seed: int) -> list[CommandDraft]:
    mix = CommandMix(Market(CATALOGUE, 1, 20).quotations, seed)
    return [mix.next([]) for _ in range(DRAWS)]


def _follows_contract(draft: CommandDraft) -> bool:
    try:
        msgspec.json.decode(draft.value, type=Command)
    except msgspec.DecodeError:
        return False
    return True


def test_only_deliberate_mistakes_break_the_contract() -> None:
    """Every drawn command follows the contract, except for the mistakes that are meant to break it."""
    broken = {draft.text for draft in _draw_commands(1) if not _follows_contract(draft)}
    assert broken == {"a quantity that is no string", "a value that is not JSON"}


def test_the_same_seed_draws_the_same() -> None:
    """The seed determines the commands, except for ids and times."""
    assert [draft.text for draft in _draw_commands(3)] == [draft.text for draft in _draw_commands(3)]
