"""The commands of other callers, as the demo shows them: somebody in a second terminal wants to see theirs."""

from collections import OrderedDict
from typing import Final

from bridge.contract.headers import ERROR_OFFSET
from bridge.contract.topics import Stream
from bridge.sandbox.demo.desk import DEAD_LETTER, SentCommand, TradingDesk
from bridge.sandbox.demo.orders import CommandDraft
from bridge.sandbox.demo.readers import ReadRecord
from bridge.terminal import escape_text

_FOLLOWED_MAX: Final = 100
_TEXT_MAX: Final = 100
_SHOWN_ARGS: Final = (
    *("side", "orderQty", "quoteOrderQty", "sym", "limitPrice", "orderType", "timeInForce"),
    *("orderId", "clientOrderId", "replaceQty", "replacePrice", "exchangeType"),
)


class OtherCallers:
    """Follows the latest commands of other callers to their answers. Their latency is taken from the broker's clock."""

    def __init__(self, desk: TradingDesk) -> None:
        self._desk = desk
        self._by_offset: OrderedDict[int, SentCommand] = OrderedDict()
        self._appended_ms: dict[int, int] = {}

    def take(self, record: ReadRecord) -> SentCommand | None:
        """Take a record, after the desk; return the command if it is a new one of another caller."""
        if record.stream is Stream.COMMANDS and self._desk.other_commands[-1:] == [record]:
            return self._follow_command(record)
        if record.stream is Stream.RESULTS:
            self._note_answer(record.fields.get("commandOffset"), str(record.fields.get("outcome", "")), record)
        elif record.stream is Stream.DEAD_LETTERS:
            self._note_answer(int(record.headers.get(ERROR_OFFSET, b"-1")), DEAD_LETTER, record)
        return None

    def _follow_command(self, record: ReadRecord) -> SentCommand:
        row = record.fields
        args = row.get("args")
        words = (
            [args[name] for name in _SHOWN_ARGS if name in args]
            if isinstance(args, dict)
            else [record.value[:_TEXT_MAX]]
        )
        text = f"(other) {' '.join(map(str, words))}"
        draft = CommandDraft(
            command_id="", action=_escape_short(row.get("action") or "?"), text=_escape_short(text), value=b""
        )
        self._by_offset[record.offset] = sent = SentCommand(draft=draft, sent_monotonic_s=0)
        self._appended_ms[record.offset] = record.timestamp_ms
        if len(self._by_offset) > _FOLLOWED_MAX:
            offset, _ = self._by_offset.popitem(last=False)
            del self._appended_ms[offset]
        return sent

    def _note_answer(self, offset: object, outcome: str, record: ReadRecord) -> None:
        if not isinstance(offset, int) or offset not in self._by_offset:
            return
        sent = self._by_offset[offset]
        if sent.has_terminal_answer:
            return
        sent.outcome = outcome
        sent.answered_monotonic_s = (record.timestamp_ms - self._appended_ms[offset]) / 1000
        sent.comment = "repeated" if record.fields.get("repeated") else str(record.fields.get("orderId", ""))


def _escape_short(text: object) -> str:
    return escape_text(str(text)[:_TEXT_MAX])
