"""A launcher of a real Apache Kafka broker."""
