"""Health pages, logs and traces: the parts of the daemon that operators use."""
