"""Settings of the daemon, a module for each purpose; read them with `load`."""

from bridge.config.kafka import Kafka
from bridge.config.limits import Limits
from bridge.config.process import Log, Management, Tracing
from bridge.config.settings import Settings, TopicSettings, load, load_topic_settings
from bridge.config.timing import Timing
from bridge.config.venue import AZ4, HA, AccountConfig, Endpoint, VenueAccess

__all__ = [
    "AZ4",
    "HA",
    "AccountConfig",
    "Endpoint",
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
    "load_topic_settings",
]
