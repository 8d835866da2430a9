"""Decisions. Everything here is pure and synchronous: values and `now` go in, values come out."""
