"""Which fault makes which alerts fire."""

from typing import Final

from msgspec import Struct

from bridge.sandbox.venue.faults import Fault, FaultKind
from tests.alerts import faults
from tests.alerts.faults import Block, script


class Case(Struct, frozen=True):
    """A fault, and the alerts that have to fire in it and to clear after it."""

    title: str
    alerts: tuple[str, ...]
    block: Block


CASES: Final = (
    Case("socket cut, new ones refused", ("LtpBridgeNoSession", "LtpBridgeNotReady"), faults.sockets_refused),
    Case("socket cut again and again", ("LtpBridgeSessionUnstable",), faults.sockets_cut),
    Case("Kafka stopped", ("LtpBridgeRecordsNotDurable", "LtpBridgeNoOwner"), faults.brokers_stopped),
    Case("each commit takes 3 s", ("LtpBridgeCommitsSlow",), faults.commits_slow),
    Case("acks dropped, REST away", ("LtpBridgeCommandsInDoubt", "LtpBridgeGapOpen"), faults.answers_lost),
    Case(
        "REST refuses queries",
        ("LtpBridgeRecoveryStalled",),
        script(Fault(kind=FaultKind.REPLACE_ANSWER, action="GET", code=2002, status=403, times=None)),
    ),
    Case("clock 8 s ahead", ("LtpBridgeClockSkew", "LtpBridgeBrokerClockSkew"), faults.clock_ahead),
    Case("logins refused", ("LtpBridgeLoginRefused",), faults.login_refused),
    Case("key refused, in REST too", ("LtpBridgeLoginStopped", "LtpBridgeNoOwner"), faults.key_refused),
    Case("key file emptied", ("LtpBridgeKeyUnusable",), faults.key_file_emptied),
    Case(
        "a place refused for its rate",
        ("LtpBridgeRateRejected",),
        script(Fault(kind=FaultKind.SHRINK_LIMIT, action="place_order", limit=0)),
    ),
    Case("limit of places used up", ("LtpBridgeBudgetUsedUp",), faults.places_flooded),
    Case("more cancels than may wait", ("LtpBridgeCommandsBehind",), faults.cancels_flooded),
    Case(
        "pushes muted",
        ("LtpBridgeAuditDisagrees",),
        script(
            Fault(kind=FaultKind.MUTE_PUSH, channel="Orders", times=None),
            Fault(kind=FaultKind.MUTE_PUSH, channel="Trades", times=None),
        ),
    ),
    Case("process stopped for 3 s", ("LtpBridgeEventLoopLate",), faults.process_frozen_once),
    Case("process stopped", ("LtpBridgeNotScraped",), faults.process_frozen),
    Case("a place carried out after not_found", ("LtpBridgeLateLanded",), faults.place_held),
    Case("a commandId used twice", ("LtpBridgeIdConflict",), faults.id_reused),
    Case("a trade pushed again, and another", ("LtpBridgeTradeConflict",), faults.trade_differs),
    Case("a push of no known shape", ("LtpBridgeUndocumented",), faults.shape_unknown),
    Case("an order gone from REST without a push", ("LtpBridgeOrderEndUntold",), faults.end_untold),
    Case("executions missing in pushes and REST", ("LtpBridgeExecutionsShort",), faults.executions_missing),
    Case("a topic deleted", ("LtpBridgeTopicLost",), faults.topic_deleted),
    Case("unread commands removed", ("LtpBridgeOffsetLost",), faults.commands_removed),
    Case("offset set by hand", ("LtpBridgeClaimsUnreadable",), faults.claims_lost),
    Case("a daemon of another environment", ("LtpBridgeForeignOwner",), faults.owner_foreign),
)

ELSEWHERE: Final = {
    "LtpBridgeGrantMissing": "needs brokers that authorize",
    "LtpBridgeRecordTooLarge": "needs a record above its topic's limit",
    "LtpBridgePerhapsRepeated": "needs 240,000 trades",
}
"""Alerts whose fault is not made here, and why; promtool's tests hold their rules."""
