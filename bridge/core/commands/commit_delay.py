"""The alarm for offset commits that Kafka acknowledges more slowly than the lease lasts."""

from typing import Final

from bridge.contract.session import Alarm
from bridge.core.alarms import ActiveAlarms
from bridge.core.now import Now

_SLOW: Final = (
    "Kafka acknowledges offset commits more slowly than lease_s: places, replaces and cancel_orders wait or expire, "
    "and nothing new is answered; single cancels go out. Look at the brokers, or raise lease_s"
)


def update_commit_delay_alarm(alarms: ActiveAlarms, now: Now, *, is_slow: bool | None) -> None:
    """Raise the alarm when commits are slow, and clear it when they are not; None changes nothing."""
    if is_slow:
        alarms.raise_alarm(Alarm.COMMITS_SLOW, _SLOW, now)
    elif is_slow is False:
        alarms.clear_alarm(Alarm.COMMITS_SLOW, "commits are acknowledged within lease_s again", now)
