"""Commands up to their write: reading, queues, claims, rate limits, dedupe and results."""
