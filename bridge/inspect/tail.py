"""`ltp-bridge tail`: the records of some streams, each as a line, up to now or on as they come."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from bridge.config import Kafka
from bridge.contract.topics import Stream
from bridge.inspect.filters import RecordFilter
from bridge.inspect.line_printer import LinePrinter
from bridge.inspect.seen_record import SeenRecord
from bridge.inspect.streams_reader import open_reader

_LINES_AT_ONCE: Final = 200
"""After so many lines they are written out, so that a long history does not wait in memory."""


class TailOptions(Struct, frozen=True, kw_only=True):
    """The options of the command line. Without `until_ms` the end is now, or never if it `follows`."""

    account: str
    streams: Sequence[Stream]
    since_ms: int
    until_ms: int | None = None
    follows: bool = True
    wanted: RecordFilter = RecordFilter()


async def run(kafka: Kafka, options: TailOptions, printer: LinePrinter, tell: Callable[[str], None]) -> None:
    """Print records until the end, or until cancelled. Raises ClusterUnreachable, KafkaTrouble, BrokenPipeError."""
    async with open_reader(kafka, options.account, options.streams, tell) as reader:
        await reader.find_span(options.since_ms, options.until_ms)
        async for records in reader.read_history():
            await _print_records(records, options.wanted, printer)
        if options.follows:
            async for records in reader.follow():
                await _print_records(records, options.wanted, printer)


async def _print_records(records: Sequence[SeenRecord], wanted: RecordFilter, printer: LinePrinter) -> None:
    for begin in range(0, len(records), _LINES_AT_ONCE):
        for record in records[begin : begin + _LINES_AT_ONCE]:
            passes, content = wanted.select(record)
            if passes:
                printer.print_record(record, content)
        printer.flush()
        await asyncio.sleep(0)  # Ctrl-C has its turn
