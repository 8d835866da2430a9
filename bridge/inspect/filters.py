"""Which records are shown: those about a symbol, an order or a command."""

from typing import Final

from msgspec import Struct

from bridge.contract.topics import Stream
from bridge.inspect.contents import Content, decode_content, find_names
from bridge.inspect.seen_record import SeenRecord

_ESCAPE: Final = b"\\"
"""Where a value has one, a name in it may be written in another way."""


class RecordFilter(Struct, frozen=True):
    """What a record must be about; "" wants nothing. `order` is an orderId or a clientOrderId."""

    symbol: str = ""
    order: str = ""
    command: str = ""

    @property
    def wants_all(self) -> bool:
        """Whether every record passes."""
        return not (self.symbol or self.order or self.command)

    def may_match(self, record: SeenRecord) -> bool:
        """Whether a record may pass, by its bytes: decoding all of a busy topic takes several times as long."""
        value = record.value or b""
        if record.stream is Stream.COMMANDS or _ESCAPE in value or (record.key and record.key in self._wanted):
            return True  # a place without clientOrderId has one that is made from its commandId
        return all(one in value for one in self._wanted)

    def matches(self, record: SeenRecord, content: Content | None) -> bool:
        """Whether a record passes."""
        names = find_names(record, content)
        return (
            self.symbol in {"", names.symbol}
            and self.order in {"", names.order_id, names.client_order_id}
            and self.command in {"", names.command_id}
        )

    def select(self, record: SeenRecord) -> tuple[bool, Content | None]:
        """Return whether a record passes, and its content, decoded if it may."""
        if self.wants_all:
            return True, decode_content(record)
        if not self.may_match(record):
            return False, None
        content = decode_content(record)
        return self.matches(record, content), content

    @property
    def _wanted(self) -> list[bytes]:
        return [one.encode() for one in (self.symbol, self.order, self.command) if one]
