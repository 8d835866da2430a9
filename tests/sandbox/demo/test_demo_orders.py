"""What the demo's desk sends: commands of the contract, and each of the mistakes in its turn."""

import msgspec

from bridge.contract.commands import Command
from bridge.sandbox.demo.orders import CommandDraft, CommandMix
from bridge.sandbox.venue.instruments import CATALOGUE
from bridge.sandbox.venue.market import Market

DRAWS = 600


def _drawn(seed: int) -> list[CommandDraft]:
    mix = CommandMix(Market(CATALOGUE, 1, 20).quotations, seed)
    return [mix.next([]) for _ in range(DRAWS)]


def _is_of_the_contract(draft: CommandDraft) -> bool:
    try:
        msgspec.json.decode(draft.value, type=Command)
    except msgspec.DecodeError:
        return False
    return True


def test_only_deliberate_mistakes_break_the_contract() -> None:
    """Whatever is drawn is a command of the contract, but for the mistakes that are meant to break it."""
    broken = {draft.text for draft in _drawn(1) if not _is_of_the_contract(draft)}
    assert broken == {"a quantity that is no string", "a value that is not JSON"}


def test_the_same_seed_draws_the_same() -> None:
    """A run can be repeated: the seed determines what is sent, but for ids and times."""
    assert [draft.text for draft in _drawn(3)] == [draft.text for draft in _drawn(3)]
