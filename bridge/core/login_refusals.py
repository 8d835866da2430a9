"""What follows when the venue refuses one login after another: how long to wait, and when to give up.

A generic refusal says nothing about the key: a login service that is being restarted may give it to everybody. So a
refusal counts against the key only where the venue's REST, asked with the same key, refuses it by a code that names the
key, and the account is given up only when that has lasted. Until then the next login is tried, ever more slowly.
"""

from enum import Enum, auto
from math import inf
from typing import Final

from bridge.core.backoff import full_jitter
from bridge.core.now import Now

WAIT_FIRST_S: Final = 2.0
WAIT_LAST_S: Final = 30.0
_WAIT_LEAST_SHARE: Final = 0.5


class KeyCheck(Enum):
    """What the venue's REST says about a key."""

    TAKEN = auto()
    """A signed question was answered."""
    REFUSED = auto()
    """It was refused by a code that names the key, its owner or its rights."""
    UNTOLD = auto()
    """There was no answer, or one that says nothing about the key."""


class LoginRefusals:
    """Counts the refusals of one session that follow one another."""

    def __init__(self, *, proven_max: int, proven_for_s: float) -> None:
        self._proven_max = proven_max
        self._proven_for_s = proven_for_s
        self._in_a_row = 0
        self._proven = 0
        self._proven_since = inf

    def logged_in(self) -> None:
        """Forget what was refused before."""
        self._in_a_row = 0
        self._forget_proof()

    def refused(self, check: KeyCheck, now: Now) -> bool:
        """Take in a refusal and what REST says about the key; return whether the account is to be given up."""
        self._in_a_row += 1
        if check is KeyCheck.TAKEN:
            self._forget_proof()
        elif check is KeyCheck.REFUSED:
            self._proven += 1
            self._proven_since = min(self._proven_since, now.boot_s)
        return self._proven >= self._proven_max and now.boot_s - self._proven_since >= self._proven_for_s

    def wait_s(self, roll: float) -> float:
        """Return how long to wait for the next login after the last refusal; `roll` is random in [0, 1)."""
        share = _WAIT_LEAST_SHARE + (1 - _WAIT_LEAST_SHARE) * roll
        return full_jitter(self._in_a_row - 1, share, base_s=WAIT_FIRST_S, cap_s=WAIT_LAST_S, floor_s=0.0)

    def _forget_proof(self) -> None:
        self._proven = 0
        self._proven_since = inf
