"""The status page of the management port: the page, and its document once or as an event.

The port ends each connection after some seconds, so `/events` answers with one event and ends; the browser asks again
by itself after the time that the event names.
"""

import base64
import hashlib
import json
import re
from collections.abc import Callable
from importlib import resources
from typing import Final

import msgspec
from aiohttp import web

from bridge.admin.account_report import ReadReports
from bridge.admin.status_document import ProcessFacts, build_document
from bridge.core.now import Now

_RETRY_MS: Final = 2000
_DOCUMENT_AGE_MAX_S: Final = 1.0
_PAGE: Final = "status.html"


class StatusCache:
    """The document as JSON in ASCII: it quotes what others wrote. It is built at most once a second."""

    def __init__(self, process: ProcessFacts, read_reports: ReadReports, clock: Callable[[], Now]) -> None:
        self._process = process
        self._read_reports = read_reports
        self._clock = clock
        self._built_boot_s = float("-inf")
        self._text = ""

    def read(self) -> str:
        """Return the document, at most a second old."""
        now = self._clock()
        if now.boot_s - self._built_boot_s >= _DOCUMENT_AGE_MAX_S:
            document = build_document(self._process, self._read_reports(), now.wall_ms)
            self._text = json.dumps(msgspec.to_builtins(document), separators=(",", ":"))
            self._built_boot_s = now.boot_s
        return self._text


def make_status_routes(
    process: ProcessFacts, read_reports: ReadReports, clock: Callable[[], Now]
) -> list[web.RouteDef]:
    """Return the routes of the page, of its events and of the document alone."""
    page = resources.files(__package__).joinpath(_PAGE).read_text(encoding="utf-8")
    headers = {
        "Content-Security-Policy": describe_policy(page),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
    cache = StatusCache(process, read_reports, clock)

    def answer(text: str, content_type: str) -> web.Response:
        return web.Response(text=text, content_type=content_type, charset="utf-8", headers=headers)

    async def show(_: web.Request) -> web.Response:
        return answer(page, "text/html")

    async def report_event(_: web.Request) -> web.Response:
        return answer(f"retry: {_RETRY_MS}\ndata: {cache.read()}\n\n", "text/event-stream")

    async def report(_: web.Request) -> web.Response:
        return answer(cache.read(), "application/json")

    return [web.get("/", show), web.get("/events", report_event), web.get("/status.json", report)]


def describe_policy(page: str) -> str:
    """Return the Content-Security-Policy of a page: only its own script and style, and requests to where it is from."""
    return (
        f"default-src 'none'; script-src {_hash_contents(page, 'script')}; style-src {_hash_contents(page, 'style')}; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _hash_contents(page: str, tag: str) -> str:
    """Return the sources that allow the elements of a tag by what stands in them."""
    contents = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
    digests = [hashlib.sha256(content.encode()).digest() for content in contents]
    return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
