"""Scripted faults: what the venue or the network does wrong, when, and how often; the ledger records each one."""

import random
from collections.abc import Callable
from enum import StrEnum
from typing import Any, Literal

import msgspec

from bridge.sandbox.venue.ledger import EntryKind, Ledger
from bridge.sandbox.venue.outcomes import ExchangeFailure


class FaultKind(StrEnum):
    """The kinds of faults. The first block applies to requests (`action`), the second to pushes (`channel`)."""

    HOLD_REQUEST = "hold_request"  # acted on only after `delay_s`, or when released; later requests overtake it
    CLOSE_BEFORE = "close_before"  # the socket closes on receipt, nothing is done
    CLOSE_AFTER = "close_after"  # the request is done, the socket closes before the answer
    STOP_READING = "stop_reading"  # nothing more is read for `delay_s`, this request included
    DROP_ANSWER = "drop_answer"  # the request is done, the answer is lost
    DELAY_ANSWER = "delay_answer"  # the answer comes `delay_s` late
    DUPLICATE_ANSWER = "duplicate_answer"  # the answer comes `copies` times
    REPLACE_ANSWER = "replace_answer"  # `code`, `message` and `shape`, or `text`, instead; done only if `lands`
    PUSH_FIRST = "push_first"  # the pushes come before the answer
    SHRINK_LIMIT = "shrink_limit"  # the request is judged by `limit`
    REJECT_LOGIN = "reject_login"  # the login fails with `code`
    REFUSE_CONNECTION = "refuse_connection"  # the upgrade fails with HTTP `status`
    REJECT_ORDER = "reject_order"
    FAIL_CANCEL = "fail_cancel"
    FAIL_AMEND = "fail_amend"
    KILL_ON_AMEND = "kill_on_amend"
    REPLACE_BY_NEW_ORDER = "replace_by_new_order"
    LAG_READ = "lag_read"  # a REST read shows what was `delay_s` ago
    SHORT_PAGES = "short_pages"  # a REST page holds at most `limit` rows, and `pageNum` counts such pages
    CHANGE_ROWS = "change_rows"  # a REST read returns its rows as `change` returns them
    SHIFT_PAGES = "shift_pages"  # after a REST page that is not the last, `between` is done (or a market step)

    MUTE_PUSH = "mute_push"  # the push never comes
    DELAY_PUSH = "delay_push"  # the push comes `delay_s` late; later ones overtake it
    DUPLICATE_PUSH = "duplicate_push"  # the push comes `copies` times
    REDATE_PUSH = "redate_push"  # the push is dated `delay_s` early in `updateAt`; REST is not
    SWELL_PUSH = "swell_push"  # the frame of the push is filled up with blanks to `limit` bytes
    SWAP_PUSH = "swap_push"  # the push changes places with the next one (or comes `delay_s` late if none does)


EXCHANGE_FAILURES = tuple(FaultKind(str(failure)) for failure in ExchangeFailure)


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One fault: its kind, which requests or pushes it applies to (empty: all), how often, and its parameters.

    `action` is a WebSocket action, `login`, `ping`, `connect`, or for REST method and path
    ("GET /api/v1/trading/order") or the method alone ("GET").
    """

    kind: FaultKind
    action: str = ""
    channel: str = ""
    account: str = ""
    tier: str = ""
    connection: int = 0
    # The fault applies to a WebSocket request only if its arguments contain this text: a clientOrderId, a price.
    mentions: str = ""
    # The first `after` matches are skipped; then it applies `times` times (None: always), each with chance `share`.
    after: int = 0
    times: int | None = 1
    share: float = 1.0
    delay_s: float = 0.0
    copies: int = 2
    limit: int = 0
    code: int = 60009
    message: str = ""
    shape: Literal["current", "older"] = "current"
    status: int = 500
    # `$id` in it stands for the id of the request.
    text: str | None = None
    lands: bool = False
    between: Callable[[], object] | None = None
    change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]] | None = None


class FaultTarget(msgspec.Struct, frozen=True, kw_only=True):
    """The request or push that a fault may apply to."""

    action: str = ""
    channel: str = ""
    account: str = ""
    tier: str = ""
    connection: int = 0
    arguments: str = ""


class ScriptedFault:
    """A fault in the venue's script, and how often it was triggered."""

    def __init__(self, number: int, fault: Fault, remove: Callable[["ScriptedFault"], None]) -> None:
        self.number = number
        self.fault = fault
        self.trigger_count = 0
        self._match_count = 0
        self._remove_from_script = remove
        self._held: list[Callable[[], None]] = []

    def matches(self, target: FaultTarget, random_source: random.Random) -> bool:
        """Return whether the fault applies to this target; counts every match, also one that is skipped."""
        fault = self.fault
        if not (
            fault.action in {"", target.action, target.action.partition(" ")[0]}
            and fault.channel in {"", target.channel}
            and fault.account in {"", target.account}
            and fault.tier in {"", target.tier}
            and fault.connection in {0, target.connection}
            and fault.mentions in target.arguments
        ):
            return False
        self._match_count += 1
        if self._match_count <= fault.after or (fault.times is not None and self.trigger_count >= fault.times):
            return False
        return fault.share >= 1 or random_source.random() < fault.share

    def hold(self, do: Callable[[], None]) -> None:
        """Defer a call until `release`."""
        self._held.append(do)

    def release(self) -> None:
        """Make the deferred calls, in their order."""
        held, self._held = self._held, []
        for do in held:
            do()

    def discard(self) -> None:
        """Drop the deferred calls."""
        self._held.clear()

    def remove(self) -> None:
        """Remove the fault from the script and make the calls that it deferred."""
        self._remove_from_script(self)
        self.release()


class FaultScript:
    """The faults in the order they were added. A target meets at most one fault of each kind."""

    def __init__(self, ledger: Ledger, seed: int) -> None:
        self._ledger = ledger
        # Replayable chances, not cryptography.
        self._random = random.Random(seed)  # noqa: S311
        self._script: dict[FaultKind, list[ScriptedFault]] = {}
        self._added = 0

    def add(self, fault: Fault) -> ScriptedFault:
        """Add a fault to the script."""
        self._added += 1
        scripted = ScriptedFault(self._added, fault, self._remove_from_script)
        self._script.setdefault(fault.kind, []).append(scripted)
        return scripted

    def clear(self) -> None:
        """Remove every fault and make the calls that they deferred."""
        for scripted in self._all_scripted():
            scripted.remove()

    def close(self) -> None:
        """Drop every deferred call; the venue is closing."""
        for scripted in self._all_scripted():
            scripted.discard()

    def _all_scripted(self) -> list[ScriptedFault]:
        return [scripted for faults in self._script.values() for scripted in faults]

    def trigger(self, kind: FaultKind, target: FaultTarget) -> ScriptedFault | None:
        """Return the fault of this kind that applies to the target, if any, and record it in the ledger."""
        for scripted in self._script.get(kind, ()):
            if scripted.matches(target, self._random):
                scripted.trigger_count += 1
                facts = {name: value for name, value in msgspec.structs.asdict(target).items() if value}
                facts.pop("connection", None)
                facts.pop("arguments", None)
                self._ledger.write(
                    EntryKind.FAULT,
                    connection=target.connection,
                    fault=str(kind),
                    script_number=scripted.number,
                    **facts,
                )
                return scripted
        return None

    def trigger_exchange_failure(self, target: FaultTarget) -> ExchangeFailure | None:
        """Return the failure at the exchange that is scripted for this request, if any."""
        for kind in EXCHANGE_FAILURES:
            if self.trigger(kind, target):
                return ExchangeFailure(str(kind))
        return None

    def _remove_from_script(self, scripted: ScriptedFault) -> None:
        faults = self._script.get(scripted.fault.kind, [])
        if scripted in faults:
            faults.remove(scripted)
