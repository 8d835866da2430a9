"""Which process an account without an owner goes to: rendezvous hashing of account and instance.

Every leader of a group gets the same answer from the members alone. Of N accounts over R instances each gets about
N / R, and when an instance is gone only its accounts move, to all the others.
"""

from collections.abc import Collection
from hashlib import blake2b

from msgspec import Struct


class Candidate(Struct, frozen=True, order=True):
    """A member of an account's group that can own it, and the name of its process."""

    member_id: str
    instance: str


class Placement(Struct, frozen=True):
    """Who may own an account, and who does."""

    candidates: tuple[Candidate, ...]
    owner: Candidate


def choose_candidate(account: str, candidates: Collection[Candidate]) -> Candidate:
    """Return the candidate whose instance has the highest score for an account; of equal names the least member id.

    Raises ValueError without a candidate.
    """
    return min(candidates, key=lambda one: (-_compute_score(account, one.instance), one.member_id))


def _compute_score(account: str, instance: str) -> int:
    """Return a number that is the same on every machine; the lengths keep two names apart."""
    words = f"{len(account)}:{account}{instance}".encode()
    return int.from_bytes(blake2b(words, digest_size=8).digest(), "big")


def find_move(account: str, placement: Placement) -> Candidate | None:
    """Return who should own an account instead of its owner; None where the owner has the right name already.

    An owner is not asked to leave for another of the same name: the next would have another member id, and so on.
    """
    wanted = choose_candidate(account, placement.candidates)
    return None if wanted.instance == placement.owner.instance else wanted
