"""Everything that knows the venue."""
