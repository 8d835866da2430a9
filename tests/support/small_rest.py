"""Small HTTP servers that answer as the venue's REST does, one request at a time."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar

from aiohttp import web

from bridge.config import Endpoint
from bridge.core.records import Rows

T = TypeVar("T")

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serve = Callable[[Answer], Awaitable[str]]


def endpoint(host: str, name: str = "T") -> Endpoint:
    """Return an endpoint at a host and port."""
    return Endpoint(name=name, ws_url="ws://localhost", rest_url=f"http://{host}")


def ok(data: str, code: str = "200000") -> web.Response:
    """Return a success as the venue words it."""
    return web.Response(text=f'{{"code":{code},"message":"Success","data":{data}}}', content_type="application/json")


def answering(response: Callable[[], web.Response]) -> Answer:
    """Answer every request alike."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return response()

    return answer


def page(rows: Sequence[str], page_num: object, total: object) -> web.Response:
    """Return one page of a list."""
    head = f'"page":1,"pageSize":1000,"pageNum":{json.dumps(page_num)},"totalSize":{json.dumps(total)}'
    return ok(f'{{{head},"list":[{",".join(rows)}]}}')


def paged(pages: Sequence[Sequence[str]], page_num: object = None, total: object = None) -> Answer:
    """Answer with pages of rows; the true number of pages and of rows unless another is said."""

    async def answer(request: web.Request) -> web.StreamResponse:
        number = int(request.query["page"])
        rows = pages[number - 1] if number <= len(pages) else []
        count = sum(map(len, pages)) if total is None else total
        return page(rows, len(pages) if page_num is None else page_num, count)

    return answer


def noting(asked: list[dict[str, str]], answer: Answer) -> Answer:
    """Write down the path and the query of every request, and answer it."""

    async def note(request: web.Request) -> web.StreamResponse:
        asked.append({"path": request.path.removeprefix("/api/v1/trading/"), **request.query})
        return await answer(request)

    return note


async def read_all(told: AsyncIterator[Rows[T]]) -> Rows[T]:
    """Read a list that comes a few rows at a time to its end."""
    some = [rows async for rows in told]
    return Rows((row for rows in some for row in rows), sum(rows.unreadable for rows in some))
