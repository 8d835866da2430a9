"""A venue to run against: LTP RapidX simulated over real sockets, written from its documents alone."""
