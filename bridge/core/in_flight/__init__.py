"""Commands after their write: acks, unknown outcomes, and what the venue shows of them."""
