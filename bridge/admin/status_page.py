"""The status page of the management port: the page, and its document once or as an event.

The port ends each connection after some seconds, so `/events` answers with one event and ends; the browser asks again
by itself after the time that the event names. A browser also has only six connections to a port, for all its tabs. The
document is built only for a request, and at most once a second, however many ask for it.
"""

import base64
import contextlib
import hashlib
import json
import re
from collections.abc import Callable
from importlib import resources
from typing import Final

import msgspec
from aiohttp import web

from bridge.admin.account_report import ReadReports
from bridge.admin.status_document import ProcessFacts, StatusDocument, build_document
from bridge.core.now import Now

_RETRY_MS: Final = 2000
_DOCUMENT_AGE_MAX_S: Final = 1.0
_PAGE: Final = "status.html"
_DELETE: Final = b"\x7f"
"""The one control character of ASCII that JSON may have as it is."""


def encode_document(document: StatusDocument) -> bytes:
    """Return the document as JSON on one line, in printable ASCII: it quotes what others wrote.

    Only texts that are not ASCII take the encoder that escapes them, which takes ten times as long.
    """
    with contextlib.suppress(UnicodeEncodeError):
        encoded = msgspec.json.encode(document)
        if encoded.isascii() and _DELETE not in encoded:
            return encoded
    return json.dumps(msgspec.to_builtins(document), separators=(",", ":")).encode("ascii")


class StatusCache:
    """The encoded document, which is built at most once a second."""

    def __init__(self, process: ProcessFacts, read_reports: ReadReports, clock: Callable[[], Now]) -> None:
        self._process = process
        self._read_reports = read_reports
        self._clock = clock
        self._built_boot_s = float("-inf")
        self._encoded = b""

    def read(self) -> bytes:
        """Return the document, at most a second old."""
        now = self._clock()
        if now.boot_s - self._built_boot_s >= _DOCUMENT_AGE_MAX_S:
            document = build_document(self._process, self._read_reports(), now.wall_ms)
            self._encoded = encode_document(document)
            self._built_boot_s = now.boot_s
        return self._encoded


def make_status_routes(
    process: ProcessFacts, read_reports: ReadReports, clock: Callable[[], Now]
) -> list[web.RouteDef]:
    """Return the routes of the page, of its events and of the document alone."""
    page = resources.files(__package__).joinpath(_PAGE).read_text(encoding="utf-8")
    headers = {
        "Content-Security-Policy": describe_policy(page),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-store",
    }
    cache, body = StatusCache(process, read_reports, clock), page.encode()

    def answer(content: bytes, content_type: str) -> web.Response:
        return web.Response(body=content, content_type=content_type, charset="utf-8", headers=headers)

    async def show(_: web.Request) -> web.Response:
        return answer(body, "text/html")

    async def report_event(_: web.Request) -> web.Response:
        return answer(b"retry: %d\ndata: %b\n\n" % (_RETRY_MS, cache.read()), "text/event-stream")

    async def report(_: web.Request) -> web.Response:
        return answer(cache.read(), "application/json")

    return [web.get("/", show), web.get("/events", report_event), web.get("/status.json", report)]


def describe_policy(page: str) -> str:
    """Return the Content-Security-Policy of a page: only its own script and style, and requests to where it is from.

    No text can become markup either: a browser with trusted types refuses every such call of the script.
    """
    return (
        f"default-src 'none'; script-src {_hash_contents(page, 'script')}; style-src {_hash_contents(page, 'style')}; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )


def _hash_contents(page: str, tag: str) -> str:
    """Return the sources that allow the elements of a tag by what stands in them."""
    contents = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
    digests = [hashlib.sha256(content.encode()).digest() for content in contents]
    return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
