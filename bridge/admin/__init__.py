"""Health pages, logs, traces and the check: the parts of the daemon that operators use."""
