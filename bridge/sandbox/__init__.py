"""The sandbox: a venue simulator, a launcher of a real Kafka broker, and the demo."""
