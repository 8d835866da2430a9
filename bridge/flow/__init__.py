"""The straight lines: how commands and events travel. What is decided on the way stands in `core`."""
