"""What is crashed: every step of a command, for each action, with each answer of the venue.

The steps are those at which a daemon dies by SIGKILL. A command says in its id at which step whoever owns the
account is to die over it, so that every daemon is started alike and it does not matter which of them meets it.
"""

import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

STEPS = {
    "polled": "read, not yet looked at",
    "checked": "valid and named, not yet in its lane",
    "queued": "in its lane",
    "slot": "has its slot of the rate limit",
    "claim.formed": "in a commit that is not handed over",
    "claim.written": "in a commit on its way, the answer not here",
    "claim.stored": "in a commit whose answer is here, nobody told",
    "claim.known": "its claim is known to be stored",
    "gate": "through the gate, not named as written",
    "unwritten": "right before the write",
    "written": "right after the write",
    "answered": "its answer is here, or overdue, and nothing done about it",
    "result.said": "its result waits in memory",
    "result.held": "its result has waited for the broker for longer than a commit takes",
    "result.produced": "its result is with the producer, or on its way",
    "result.durable": "its result is acknowledged, nothing done about it",
    "done.formed": "the commit that passes it is not handed over",
    "done.stored": "the commit that passes it is stored",
}
TAKEOVER_STEPS = {
    "takeover.offset": "the committed offset was read",
    "takeover.epoch": "the next epoch is committed",
    "takeover.record": "the takeover record is durable",
    "takeover.results": "the results were read",
    "takeover.commands": "midway through the commands",
    "takeover.login": "logged in, not swept",
    "takeover.doubt": "asking about what is in doubt",
}
POLICIES = ("single_cancels", "venue_message")
"""How the daemons carry out a cancel_orders."""
ACTIONS = ("place_order", "replace_order", "cancel_order", "cancel_orders")
OF_ONE_ORDER = ("replace_order", "cancel_order")
"""The actions that name an order which is there already."""
ANSWERS = {
    "ack": "the venue accepts",
    "reject": "the venue refuses",
    "dropped": "the venue acts, its answer is lost",
    "unheard": "the request never reaches the venue's desk",
    "late": "the venue acts seconds later, when somebody else owns the account",
    "renewed": "a replace of its order was carried out by another order under the same clientOrderId",
}
UPHEAVALS = {
    "offsets.expired": "the group and its committed offset are deleted while no daemon runs",
    "commands.recreated": "the commands topic is deleted and made again, and what was sent is sent again",
}
"""What happens to Kafka once the daemon has died."""
BEFORE_A_TAKEOVER = ("claim.known", "written", "answered")
"""Where the owner dies whose successor then dies in its takeover: each leaves the command claimed."""

_Cell = tuple[str, str, str, str, str | None, str | None]

_TARGET = re.compile(r"die\.([0-9]+)\.([a-z.]+)(?:\+([a-z.]+))?")


@dataclass(frozen=True)
class Scenario:
    """One command over which a daemon dies, with `takeover` its successor too, and with `upheaval` Kafka changes."""

    number: int
    policy: str
    action: str
    answer: str
    step: str
    takeover: str | None = None
    upheaval: str | None = None

    @property
    def command_id(self) -> str:
        """The id that tells the daemons what to do."""
        return f"die.{self.number}.{self.step}" + (f"+{self.takeover}" if self.takeover else "")

    @property
    def kills(self) -> tuple[str, ...]:
        """The marks that are left when each kill has happened."""
        steps = (self.step,) if self.takeover is None else (self.step, self.takeover)
        return tuple(mark(self.number, step) for step in steps)

    def __str__(self) -> str:
        then = self.takeover or self.upheaval
        step = self.step if then is None else f"{self.step}, then {then}"
        return f"{self.number}: {self.action}, {self.answer}, {step} ({self.policy})"


def mark(number: int, step: str) -> str:
    """Name the file that says that a daemon died at a step of a scenario."""
    return f"{number}.{step}"


def read_target(command_id: object) -> tuple[int, str, str | None] | None:
    """Read number, step and step of the takeover from the id of a command; None if it is not about dying."""
    found = _TARGET.fullmatch(command_id) if isinstance(command_id, str) else None
    return (int(found[1]), found[2], found[3]) if found else None


def matrix(seed: int) -> list[Scenario]:
    """Return every scenario, in an order that the seed decides: of a cancel_orders with each policy, else with one.

    That the venue acts late makes a difference only when its request was written and nobody waits for the answer; an
    order can be renewed only where the command names it; what happens to Kafka matters where a command is in doubt.
    """
    dice = random.Random(seed)  # noqa: S311 - a plan that can be had again, no secret
    cells: list[_Cell] = []
    for action in ACTIONS:
        for answer in ANSWERS:
            if answer == "renewed" and action not in OF_ONE_ORDER:
                continue
            for cell in _cells(action, answer, dice):
                policies = POLICIES if action == "cancel_orders" else (dice.choice(POLICIES),)
                cells += [(policy, *cell) for policy in policies]
    dice.shuffle(cells)
    return _numbered(cells)


def _cells(action: str, answer: str, dice: random.Random) -> Iterator[tuple[str, str, str, str | None, str | None]]:
    """Return where to die over one action with one answer, and what happens then."""
    if answer == "late":
        yield from ((action, answer, "written", step, None) for step in (None, *TAKEOVER_STEPS))
        return
    yield from ((action, answer, step, None, None) for step in STEPS)
    for step in TAKEOVER_STEPS:
        yield action, answer, dice.choice(BEFORE_A_TAKEOVER), step, None
    for upheaval in UPHEAVALS:
        yield action, answer, dice.choice(BEFORE_A_TAKEOVER), None, upheaval


def sample(seed: int, count: int) -> list[Scenario]:
    """Return some scenarios, first those whose step, takeover, action or answer the ones before had least."""
    chosen: list[Scenario] = []
    seen: dict[str, int] = {}
    left = matrix(seed)
    while left and len(chosen) < count:
        best = min(left, key=lambda one: sum(10 ** seen.get(what, 0) for what in _facets(one)) / len(_facets(one)))
        left.remove(best)
        chosen.append(best)
        for what in _facets(best):
            seen[what] = seen.get(what, 0) + 1
    return _numbered((one.policy, one.action, one.answer, one.step, one.takeover, one.upheaval) for one in chosen)


def _facets(scenario: Scenario) -> list[str]:
    return [scenario.policy, scenario.action, scenario.answer, scenario.takeover or scenario.upheaval or scenario.step]


def _numbered(cells: Iterable[_Cell]) -> list[Scenario]:
    return [Scenario(number, *cell) for number, cell in enumerate(cells, 1)]
