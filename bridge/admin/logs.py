"""Logs on stdout: one JSON object a line, or coloured text on a terminal."""

import io
import logging
import sys
from functools import partial
from typing import Final, Literal, TextIO, cast

import structlog

from bridge.admin.line_bounds import LINE_CHARS_MAX, bound_coloured, bound_values, cut_ends, render_json
from bridge.admin.log_writer import NonBlockingWriter
from bridge.admin.repeats import RepeatLimit
from bridge.terminal import escape_lines, escape_text

LIBRARIES_AT_WARNING = ("aiohttp", "aiokafka", "asyncio", "kafka", "urllib3")
"""At lower levels these libraries write whole requests, with credentials."""
_TRACEBACK_CHARS_MAX: Final = LINE_CHARS_MAX // 2
_ITS_OWN: Final = frozenset({"exc_info", "stack_info", "stack", "exception", "_record", "_from_structlog"})
"""Keys whose values the renderer must get unchanged."""


def _escape_values(logger: object, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Escape, for a terminal, what the venue, brokers and callers may have written."""
    del logger, method
    return {
        escape_text(name): value if name in _ITS_OWN else escape_text(value if isinstance(value, str) else repr(value))
        for name, value in event.items()
    }


def _write_traceback(out: TextIO, exc_info: structlog.typing.ExcInfo) -> None:
    text = io.StringIO()
    structlog.dev.plain_traceback(text, exc_info)
    out.write(escape_lines(cut_ends(text.getvalue(), _TRACEBACK_CHARS_MAX)))


def _report_left_out(limit: RepeatLimit, *, at_end: bool) -> None:
    """Log how many lines of each kind the limit has left out."""
    log = structlog.get_logger()
    for one in limit.pop_left_out(at_end=at_end):
        log.error("log.left_out", of=one.event, account=one.account, alarm=one.alarm, lines=one.lines)


def configure(level: str, style: Literal["auto", "json", "pretty"]) -> NonBlockingWriter:
    """Send all log lines to stdout; return the writer."""
    limit = RepeatLimit()
    writer = NonBlockingWriter(sys.stdout, report=partial(_report_left_out, limit))
    logging.raiseExceptions = False  # a library's line that cannot be formatted would go to stderr, with its values
    pretty = style == "pretty" or (style == "auto" and sys.stdout.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[structlog.typing.Processor] = (
        # The renderer's own choice of traceback would print local variables, a key's secret among them.
        [
            bound_values,
            _escape_values,
            structlog.dev.ConsoleRenderer(exception_formatter=_write_traceback),
            cast("structlog.typing.Processor", bound_coloured),
        ]
        if pretty
        else [
            structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False)),
            bound_values,
            render_json,
        ]
    )
    threshold = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, limit, *shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", writer)),
        cache_logger_on_first_use=True,
    )
    foreign = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.contextvars.merge_contextvars, *shared],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
    )
    sink = logging.StreamHandler(writer)
    sink.setFormatter(foreign)
    sink.addFilter(limit)
    logging.basicConfig(handlers=[sink], level=threshold, force=True)
    for name in LIBRARIES_AT_WARNING:
        logging.getLogger(name).setLevel(max(threshold, logging.WARNING))
    return writer
