"""What follows when the venue refuses several logins in a row: how long to wait, and when to give up.

A refusal of a login does not prove that the key is wrong: a login service that restarts may refuse every key. So a
refusal counts against the key only if the venue's REST, called with the same key, refuses it too, by a code that is
about the key. And the account is given up only after this has lasted. Until then the next login is tried, after waits
that grow.
"""

from enum import Enum, auto
from math import inf
from typing import Final

from bridge.core.backoff import full_jitter
from bridge.core.now import Now

WAIT_FIRST_S: Final = 2.0
WAIT_LAST_S: Final = 30.0
_WAIT_MIN_SHARE: Final = 0.5


class KeyCheck(Enum):
    """What the venue's REST says about a key."""

    ACCEPTED = auto()
    """A signed request was answered."""
    REFUSED = auto()
    """It was refused by a code that is about the key, its owner or its rights."""
    INCONCLUSIVE = auto()
    """There was no answer, or one that says nothing about the key."""


class LoginRefusals:
    """The refused logins of one session that follow one another.

    The account is given up after `proven_max` refusals that REST confirmed, once the first of them is `give_up_s` old.
    """

    def __init__(self, *, proven_max: int, give_up_s: float) -> None:
        self._proven_max = proven_max
        self._give_up_s = give_up_s
        self._in_a_row = 0
        self._proven = 0
        self._proven_since_boot_s = inf

    def note_login(self) -> None:
        """Note that a login was accepted: earlier refusals no longer count."""
        self._in_a_row = 0
        self._forget_proof()

    def note_refusal(self, check: KeyCheck, now: Now) -> bool:
        """Note a refusal and what REST says about the key. Returns whether the account is to be given up."""
        self._in_a_row += 1
        if check is KeyCheck.ACCEPTED:
            self._forget_proof()
        elif check is KeyCheck.REFUSED:
            self._proven += 1
            self._proven_since_boot_s = min(self._proven_since_boot_s, now.boot_s)
        return self._proven >= self._proven_max and now.boot_s - self._proven_since_boot_s >= self._give_up_s

    def next_wait_s(self, roll: float) -> float:
        """Return how long to wait before the next login; `roll` is a random number in [0, 1)."""
        share = _WAIT_MIN_SHARE + (1 - _WAIT_MIN_SHARE) * roll
        return full_jitter(self._in_a_row - 1, share, base_s=WAIT_FIRST_S, cap_s=WAIT_LAST_S, floor_s=0.0)

    def _forget_proof(self) -> None:
        self._proven = 0
        self._proven_since_boot_s = inf
