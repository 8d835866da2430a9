"""Units and names that several records of the contract share, each with its description."""

from typing import Annotated, Final

from msgspec import Meta

INT64: Final = {"format": "int64"}
"""The format, for languages whose default integer has 32 bits."""

UnixMs = Annotated[int, Meta(description="Unix time in milliseconds.", extra_json_schema=INT64)]
Epoch = Annotated[int, Meta(description="The number of the owner's term; it only grows.", extra_json_schema=INT64)]
