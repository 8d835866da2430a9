"""A real Apache Kafka on a machine that has none."""
