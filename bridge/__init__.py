"""The LTP to Kafka bridge: RapidX pushes on topics, commands from a topic to the venue."""

__version__ = "0.1.0"
