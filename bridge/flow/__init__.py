"""The tasks of an account: they wait for Kafka and the venue, and hand each event to `core`, which decides."""
