"""Which fault makes which alerts fire."""

from typing import Final

from msgspec import Struct

from bridge.sandbox.venue.faults import Fault, FaultKind
from tests.alerts import faults, topic_faults, venue_faults
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
    Case("pushes muted, then a new owner", ("LtpBridgeAuditDisagrees",), venue_faults.pushes_muted),
    Case("process stopped for 3 s", ("LtpBridgeEventLoopLate",), faults.process_frozen_once),
    Case("process stopped", ("LtpBridgeNotScraped",), faults.process_frozen),
    Case("a place carried out after not_found", ("LtpBridgeLateLanded",), venue_faults.place_held),
    Case("a commandId used twice", ("LtpBridgeIdConflict",), venue_faults.id_reused),
    Case("a trade pushed again, and another", ("LtpBridgeTradeConflict",), venue_faults.trade_differs),
    Case("a push of no known shape", ("LtpBridgeUndocumented",), venue_faults.shape_unknown),
    Case("an order gone from REST without a push", ("LtpBridgeOrderEndUntold",), venue_faults.end_untold),
    Case(
        "executions missing in pushes, in part in REST", ("LtpBridgeExecutionsShort",), venue_faults.executions_missing
    ),
    Case("a frame larger than a record may be", ("LtpBridgeRecordTooLarge",), venue_faults.record_too_large),
    Case("a grant taken away", ("LtpBridgeGrantMissing",), topic_faults.grant_taken),
    Case("a topic deleted", ("LtpBridgeTopicLost",), topic_faults.topic_deleted),
    Case("unread commands removed", ("LtpBridgeOffsetLost",), topic_faults.commands_removed),
    Case("offset set by hand", ("LtpBridgeClaimsUnreadable",), topic_faults.claims_lost),
    Case("a daemon of another environment", ("LtpBridgeForeignOwner",), faults.owner_foreign),
)

ELSEWHERE: Final = {
    "LtpBridgePerhapsRepeated": "needs 240,000 trades within one gap",
}
"""Alerts whose fault is not made here, and why; promtool's tests hold their rules."""
