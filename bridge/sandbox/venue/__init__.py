"""LTP RapidX simulated over real sockets, written from its documents alone."""
