"""What is done in one run: drawn from a seed, so that it can be had again."""

import random
from dataclasses import dataclass, replace
from typing import Any

FAULTS = {
    "cut": "the connection is cut after some more bytes",
    "half_open": "nothing passes either way, and nobody is told",
    "deaf": "nothing of the venue arrives, everything reaches it",
    "dumb": "nothing reaches the venue, its pushes arrive",
    "refused": "the connection is cut, and no other comes about for a while",
    "tier_down": "the tier in use is gone for a while, sockets and REST",
    "tiers_in_turn": "the tier in use goes, and then the other one as the first is back",
    "muted": "pushes of some channels never come, on a link that is well",
    "muddled": "pushes come twice, late, or in another order",
    "brokers_away": "every connection to the brokers is cut for a while",
    "brokers_silent": "the brokers answer nothing for a while",
    "rest_fails": "REST answers with errors, late, or not at all",
    "rest_silent": "nothing passes to REST or from it",
    "sliced": "bytes arrive one at a time",
    "killed": "the daemon is killed and started again",
    "killed_unwritten": "the daemon is killed while the brokers are away",
    "stopped": "the daemon is stopped in good order and started again",
    "frozen": "the daemon stands still for longer than its group waits for it",
    "spelled": "REST spells states, sides and numbers otherwise than the pushes",
    "odd_rows": "single REST rows are odd: a type that nobody documented, a field that is missing or null",
    "empty_once": "each REST list is empty once, right after a login",
    "redated": "pushes and REST rows are dated some milliseconds back, or an hour ahead",
    "clock_steps": "the daemon's wall clock is set ahead, and back",
    "late_produce": "a request to write records reaches the brokers when its producer has been given up, or killed",
    "topic_deleted": "somebody deletes a topic",
    "cut_again": "the connection is cut again while it is being recovered",
}
_TIMING = {
    "session_timeout_s": 3,
    "heartbeat_s": 0.3,
    "rebalance_timeout_s": 3,
    "commit_period_s": 0.25,
    "lease_s": 0.6,
    "ack_timeout_s": 1,
    "late_landing_s": 6,
    "ping_interval_s": 1,
    "pong_deadline_s": 0.5,
    "connect_timeout_s": 2,
    "reconnect_cap_s": 1.5,
    "rest_lag_s": 3,
    "audit_period_s": 3,
    "failover_after_s": 2,
    "failback_stable_s": 8,
    "failback_period_s": 12,
    "validity_max_s": 600,
    "horizon_s": 1800,
    "stop_deadline_s": 10,
}
MUTES = (
    ("Trades",),
    ("Orders",),
    ("Assets", "Positions"),
    ("Orders", "Trades"),
    ("Assets", "Positions", "Trades"),
    ("",),
)
"""Channels that fall silent together; "" is all of them. Margin calls alone would leave no trace that REST tells."""


@dataclass(frozen=True)
class Step:
    """One fault: how long nothing happens before it, and how long it lasts."""

    kind: str
    after_s: float
    lasts_s: float


@dataclass(frozen=True)
class Plan:
    """One run."""

    name: str
    seed: int
    timing: dict[str, float]
    steps: tuple[Step, ...]
    rest_lag_s: float
    """How far REST is behind the pushes, throughout."""
    shifting: bool
    """Whether rows come in between the pages that are asked for."""
    documented_limits: bool
    daemons: int
    """Two where one stands by."""

    def dice(self, what: str) -> random.Random:
        """Return the dice for one part of the run."""
        return random.Random(f"{self.seed}/{what}")  # noqa: S311 - to be had again, no secret


def draw(seed: int, name: str, length: str) -> Plan:
    """Draw a run: `short` has a few faults, `full` all of them, `long` few and long ones at REST's worst."""
    dice = random.Random(f"{seed}/{name}")  # noqa: S311 - as above
    lag_s = {"short": 2.0, "full": dice.uniform(2, 5), "long": 30.0}[length]
    timing = _TIMING | {"rest_lag_s": round(lag_s, 1)}
    if length == "short":
        timing |= {"audit_period_s": 2, "failback_stable_s": 3, "failback_period_s": 4}
        kinds = [dice.choice(("cut", "half_open", "deaf")), "muted", "muddled", dice.choice(("killed", "brokers_away"))]
    elif length == "full":
        kinds = list(FAULTS)
        dice.shuffle(kinds)
    else:
        timing |= {"audit_period_s": 15, "ping_interval_s": 5, "pong_deadline_s": 2}
        kinds = ["cut", "brokers_away", "half_open", "muted", "killed_unwritten", "tier_down"]
    calm_s = 1 if length == "short" else 3
    steps = tuple(Step(kind, dice.uniform(0.3, calm_s), _lasts_s(kind, length, dice)) for kind in kinds)
    return Plan(
        name=name,
        seed=seed,
        timing=timing,
        steps=steps,
        rest_lag_s=round(dice.uniform(0.3, 0.9) * lag_s, 2),
        shifting=length != "short",
        documented_limits=length == "long",
        daemons=1 if length == "short" else dice.randint(1, 2),
    )


def _lasts_s(kind: str, length: str, dice: random.Random) -> float:
    if length == "long":
        return 120 if kind == "brokers_away" else dice.uniform(8, 20)
    if kind in {"brokers_away", "brokers_silent"}:
        return dice.uniform(3, 5) if length == "short" else dice.uniform(5, 20)
    return dice.uniform(2, 3) if length == "short" else dice.uniform(2, 8)


def as_facts(plan: Plan) -> dict[str, Any]:
    """Tell a run for people."""
    steps = [f"{step.kind} {step.lasts_s:.1f} s" for step in plan.steps]
    return {
        "name": plan.name,
        "seed": plan.seed,
        "rest_lag_s": plan.rest_lag_s,
        "daemons": plan.daemons,
        "steps": steps,
    }


def only(plan: Plan, kinds: list[str]) -> Plan:
    """Let only these faults happen in a run, in this order."""
    dice = plan.dice("only")
    return replace(plan, steps=tuple(Step(kind, dice.uniform(0.3, 2), _lasts_s(kind, "full", dice)) for kind in kinds))
