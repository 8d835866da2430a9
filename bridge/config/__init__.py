"""Settings of the daemon, a module for each purpose; read them with `load`."""

from bridge.config.kafka import Kafka
from bridge.config.limits import Limits
from bridge.config.process import Log, Management, Tracing
from bridge.config.settings import (
    GroupSettings,
    Settings,
    TopicSettings,
    load,
    load_group_settings,
    load_topic_settings,
)
from bridge.config.timing import Timing
from bridge.config.venue import AZ4, HA, AccountConfig, Endpoint, VenueAccess

__all__ = [
    "AZ4",
    "HA",
    "AccountConfig",
    "Endpoint",
    "GroupSettings",
    "Kafka",
    "Limits",
    "Log",
    "Management",
    "Settings",
    "Timing",
    "TopicSettings",
    "Tracing",
    "VenueAccess",
    "load",
    "load_group_settings",
    "load_topic_settings",
]
