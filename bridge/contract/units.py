"""Units and names that several records of the contract share, each with its description."""

from typing import Annotated

from msgspec import Meta

UnixMs = Annotated[int, Meta(description="Unix time in milliseconds.")]
Epoch = Annotated[int, Meta(description="The owner's term: a number that only grows.")]
