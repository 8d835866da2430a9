"""What is left of commands in one account: how many wait, and whether anything is left at all."""

from bridge.contract.commands import CANCEL, CANCEL_ALL, PLACE, REPLACE
from tests.support.one_account import OneAccount


def count_waiting(one: OneAccount) -> dict[str, int]:
    """Count the commands that wait to be sent, by action."""
    return {
        action: one.account.dispatcher._lanes.count_waiting(action) for action in (PLACE, REPLACE, CANCEL, CANCEL_ALL)
    }


def is_nothing_left(one: OneAccount) -> bool:
    """Return whether no command is counted as waiting, and every offset is committed."""
    one.drain()
    chains = one.account.table._chains.values()
    return not any(count_waiting(one).values()) and not any(chains) and one.committed()[0] == one.next_offset
