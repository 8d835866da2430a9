"""Logs: one JSON object a line on stdout, or coloured text where a person looks."""

import logging
import sys
from typing import Literal, TextIO, cast

import structlog

from bridge.admin.lines import Lines

LIBRARIES_AT_WARNING = ("aiohttp", "aiokafka", "asyncio", "kafka", "urllib3")
"""Below this they would write whole requests, credentials among them."""


def configure(level: str, style: Literal["auto", "json", "pretty"]) -> Lines:
    """Send everything that is logged to stdout; return what writes it."""
    lines = Lines(sys.stdout)
    pretty = style == "pretty" or (style == "auto" and sys.stdout.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[structlog.typing.Processor] = (
        # The renderer's own choice of traceback would print local variables, a key's secret among them.
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if pretty
        else [
            structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False)),
            structlog.processors.JSONRenderer(),
        ]
    )
    threshold = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", lines)),
        cache_logger_on_first_use=True,
    )
    foreign = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
    )
    sink = logging.StreamHandler(lines)
    sink.setFormatter(foreign)
    logging.basicConfig(handlers=[sink], level=threshold, force=True)
    for name in LIBRARIES_AT_WARNING:
        logging.getLogger(name).setLevel(logging.WARNING)
    return lines
