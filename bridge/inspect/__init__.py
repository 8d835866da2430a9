"""`ltp-bridge tail` and `ltp-bridge trace`: show what the topics of an account hold. Nothing here writes to Kafka."""
