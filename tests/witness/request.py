"""A request that arrived at the venue, and which command it was made for.

Our request ids are `<epoch>x<offset>x<attempt>`, all three in hexadecimal: so the ledger alone says which command a
request was made for, and by whom. A cancel that the bridge sends of its own accord is `<epoch>y<count>` and belongs to
no command.
"""

import re
from typing import Any

Entry = dict[str, Any]
"""A line of the ledger, as JSON."""

MUTATING = ("place_order", "replace_order", "cancel_order", "cancel_orders")
SUCCESS = 200000
_OF_A_COMMAND = re.compile(r"([0-9a-f]+)x([0-9a-f]+)x([0-9a-f]+)")
_OWN = re.compile(r"([0-9a-f]+)y([0-9a-f]+)")


class Request:
    """One request that arrived."""

    def __init__(self, entry: Entry, frame: Entry) -> None:
        self.number = int(entry["number"])
        self.at_ms = int(entry["wall_ms"])
        self.connection = int(entry["connection"])
        self.request_id = str(frame.get("id"))
        self.action = str(frame.get("action"))
        self.args: dict[str, str] = frame.get("args") or {}
        found = _OF_A_COMMAND.fullmatch(self.request_id)
        self.epoch, self.offset, self.attempt = (int(part, 16) for part in found.groups()) if found else (-1, -1, -1)
        self.names_a_command = found is not None
        own = _OWN.fullmatch(self.request_id)
        self.is_own = own is not None
        if own is not None:
            self.epoch = int(own[1], 16)
        self.codes: list[int] = []
        """The venue's verdicts on it: none if it never reached the desk."""
        self.answers: list[int] = []
        """The codes that were answered to it, whether they reached anybody or not."""

    def witness(self) -> Entry:
        """Name the request for a person."""
        return {"request": self.request_id, "action": self.action, "ledger": self.number, "codes": self.codes}
