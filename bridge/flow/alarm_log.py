"""The log of every alarm that an account raises or clears, with the words of the topic `session` and of the metrics."""

import structlog

from bridge.contract.session import AlarmCleared, AlarmRaised, SessionEvent

_log = structlog.get_logger()


def log_alarm(event: SessionEvent) -> None:
    """Log an event on `session` if it begins or ends an alarm."""
    if isinstance(event, AlarmRaised):
        _log.error("alarm.raised", alarm=event.alarm.value, subject=event.subject, detail=event.detail)
    elif isinstance(event, AlarmCleared):
        _log.info("alarm.cleared", alarm=event.alarm.value, subject=event.subject, detail=event.detail)
