"""A simulator of LTP RapidX over real sockets, written from its documents alone."""
