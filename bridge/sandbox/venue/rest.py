"""The REST server: signature, nonce, limits, envelope (LTP docs, Authentication, Error Codes)."""

import asyncio
import json
from email.utils import formatdate
from typing import Any, NamedTuple

import msgspec
from aiohttp import web

from bridge.sandbox.venue.backend import VenueBackend
from bridge.sandbox.venue.codes import NONCE_WRONG, SIGNATURE_WRONG, TEXTS, TOO_MANY_REQUESTS, Refusal
from bridge.sandbox.venue.faults import Fault, FaultKind, FaultTarget
from bridge.sandbox.venue.keys import ApiKey, sign_rest_request, signatures_match
from bridge.sandbox.venue.ledger import EntryKind, LedgerEntry
from bridge.sandbox.venue.portfolio_history import LaggedView
from bridge.sandbox.venue.rest_routes import ACTION_ROUTES, ActionRoute, ReadRoute, ReadRoutes
from bridge.sandbox.venue.rows import PAGE_SIZE_MAX

_HTTP_TEXTS = {404: "Not Found", 405: "Method Not Allowed"}


class _RestAnswer(NamedTuple):
    status: int
    code: int
    message: str
    data: Any
    pushes: list[LedgerEntry]
    # The number of changes that a lagging read did not show, for the ledger.
    hidden: int = 0


class RestServer:
    """Serves one tier's REST requests; all tiers share the backend."""

    def __init__(self, backend: VenueBackend, tier: str) -> None:
        self._backend = backend
        self._tier = tier
        self._read_routes = ReadRoutes(backend)
        self._paths = {path for _, path in ACTION_ROUTES} | set(self._read_routes.routes)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer one request; the Date header has the time of the venue's clock."""
        response = await self._serve_request(request)
        response.headers["Date"] = formatdate(self._backend.clock.wall_ms() / 1000, usegmt=True)
        return response

    async def _serve_request(self, request: web.Request) -> web.StreamResponse:
        """Record a request, authenticate it, and answer it."""
        body = await request.read()
        method, path = request.method, request.path
        self._backend.ledger.write(
            EntryKind.REST,
            method=method,
            path=path,
            query=dict(request.query),
            body=body.decode("utf-8", "replace"),
            tier=self._tier,
        )
        target = FaultTarget(action=f"{method} {path}", tier=self._tier)
        try:
            self._check_path(method, path)
            parameters = _read_parameters(method, dict(request.query), body)
            key = self._authenticate_request(request, parameters)
        except _WrongPathError as wrong:
            return self._make_response(_RestAnswer(wrong.status, wrong.status, _HTTP_TEXTS[wrong.status], {}, []))
        except Refusal as refusal:
            return self._make_response(self._refusal_answer(refusal))
        target = msgspec.structs.replace(target, account=key.name)
        return await self._apply_faults(request, key, parameters, target)

    async def _apply_faults(
        self, request: web.Request, key: ApiKey, parameters: dict[str, str], target: FaultTarget
    ) -> web.StreamResponse:
        """Answer an authenticated request, with the faults that apply to it."""
        faults = self._backend.faults
        if faults.trigger(FaultKind.CLOSE_BEFORE, target):
            return _abort_connection(request)
        held = faults.trigger(FaultKind.HOLD_REQUEST, target)
        if held:
            released = asyncio.Event()
            held.hold(released.set)
            if held.fault.delay_s:
                asyncio.get_running_loop().call_later(held.fault.delay_s, released.set)
            await released.wait()
        replaced = faults.trigger(FaultKind.REPLACE_ANSWER, target)
        answer = None
        if replaced is None or replaced.fault.lands:
            answer = self._answer_request(request.method, request.path, key, parameters, target)
            self._backend.send_pushes(answer.pushes)
            self._shift_pages(answer, target)
        if faults.trigger(FaultKind.CLOSE_AFTER, target) or faults.trigger(FaultKind.DROP_ANSWER, target):
            return _abort_connection(request)
        late = faults.trigger(FaultKind.DELAY_ANSWER, target)
        if late:
            await asyncio.sleep(late.fault.delay_s)
        if replaced is not None or answer is None:
            return self._respond_replaced(replaced.fault if replaced else Fault(kind=FaultKind.REPLACE_ANSWER))
        return self._make_response(answer)

    def _respond_replaced(self, fault: Fault) -> web.Response:
        if fault.text is not None:
            self._backend.ledger.write(EntryKind.ANSWER, status=fault.status, text=fault.text)
            return web.Response(status=fault.status, text=fault.text)
        message = fault.message or TEXTS.get(fault.code, "")
        return self._make_response(_RestAnswer(fault.status, fault.code, message, {}, []))

    def _check_path(self, method: str, path: str) -> None:
        if path not in self._paths:
            raise _WrongPathError(404)
        if (method, path) not in ACTION_ROUTES and not (method == "GET" and path in self._read_routes.routes):
            raise _WrongPathError(405)

    def _authenticate_request(self, request: web.Request, parameters: dict[str, str]) -> ApiKey:
        api_key, nonce = request.headers.get("X-MBX-APIKEY", ""), request.headers.get("nonce", "")
        key = self._backend.keys.find(api_key)
        if key is None:
            raise Refusal(100018 if api_key else 2002)
        if not (nonce.isascii() and nonce.isdigit()):
            raise Refusal(NONCE_WRONG)
        if abs(self._backend.clock.wall_ms() / 1000 - int(nonce)) > self._backend.settings.clock_tolerance_s:
            raise Refusal(NONCE_WRONG)
        expected = sign_rest_request(key.api_secret, parameters, nonce)
        if not signatures_match(expected, request.headers.get("signature", "")):
            raise Refusal(SIGNATURE_WRONG)
        return key

    def _answer_request(
        self, method: str, path: str, key: ApiKey, parameters: dict[str, str], target: FaultTarget
    ) -> _RestAnswer:
        act = ACTION_ROUTES.get((method, path))
        try:
            if act is not None:
                return self._perform_action(act, key, parameters, target)
            return self._read(self._read_routes.routes[path], key, parameters, target)
        except Refusal as refusal:
            return self._refusal_answer(refusal)

    def _read(self, route: ReadRoute, key: ApiKey, parameters: dict[str, str], target: FaultTarget) -> _RestAnswer:
        backend = self._backend
        self._check_limit(route.limit, key, target)
        lag = backend.faults.trigger(FaultKind.LAG_READ, target)
        view = backend.lagged_portfolio(key, lag.fault.delay_s) if lag else LaggedView(backend.portfolio(key), 0)
        short = backend.faults.trigger(FaultKind.SHORT_PAGES, target) if route.row else None
        rows_max = max(1, short.fault.limit) if short else PAGE_SIZE_MAX
        data = self._change_rows(self._read_routes.make_answer(route, view.portfolio, parameters, rows_max), target)
        return _RestAnswer(200, backend.settings.dialect.rest_success_code, "Success", data, [], view.hidden_changes)

    def _change_rows(self, data: Any, target: FaultTarget) -> Any:  # noqa: ANN401 - JSON
        """Return the data of an answer, with its rows changed if a fault asks for it."""
        scripted = self._backend.faults.trigger(FaultKind.CHANGE_ROWS, target)
        change = scripted.fault.change if scripted else None
        if change is None:
            return data
        if isinstance(data, list):
            return change(data)
        if isinstance(data.get("list"), list):
            return {**data, "list": change(data["list"])}
        return next(iter(change([data])), None)

    def _shift_pages(self, answer: _RestAnswer, target: FaultTarget) -> None:
        """Change the market or call a test's function after a page that is not the last, if a fault asks for it."""
        pages = answer.data.get("pageNum", 0) if isinstance(answer.data, dict) else 0
        if not pages or answer.data["page"] >= pages:
            return
        shift = self._backend.faults.trigger(FaultKind.SHIFT_PAGES, target)
        if shift:
            (shift.fault.between or self._backend.step)()

    def _check_limit(self, limit: str, key: ApiKey, target: FaultTarget) -> None:
        if not self._backend.count_request(limit, key, target):
            raise Refusal(TOO_MANY_REQUESTS)

    def _perform_action(
        self, act: ActionRoute, key: ApiKey, parameters: dict[str, str], target: FaultTarget
    ) -> _RestAnswer:
        ruling = self._backend.act(key, act.action, parameters, target=target, limit=act.limit, over_rest=True)
        outcome = ruling.outcome
        if not outcome.is_success:
            return self._refusal_answer(Refusal(outcome.code, outcome.message))
        code = self._backend.settings.dialect.rest_success_code
        return _RestAnswer(act.status, code, "Success", outcome.data or {}, ruling.pushes)

    def _refusal_answer(self, refusal: Refusal) -> _RestAnswer:
        limited = refusal.code == TOO_MANY_REQUESTS
        status = 429 if limited else self._backend.settings.dialect.rest_failure_status
        return _RestAnswer(status, refusal.code, refusal.text, {}, [])

    def _make_response(self, answer: _RestAnswer) -> web.Response:
        body = msgspec.json.encode({"code": answer.code, "message": answer.message, "data": answer.data})
        self._backend.ledger.write(EntryKind.ANSWER, status=answer.status, text=body.decode(), hidden=answer.hidden)
        return web.Response(status=answer.status, body=body, content_type="application/json")


class _WrongPathError(Exception):
    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(_HTTP_TEXTS[status])


def _abort_connection(request: web.Request) -> web.Response:
    """Abort the connection of the request; the returned response is never sent."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def _read_parameters(method: str, query: dict[str, str], body: bytes) -> dict[str, str]:
    """Return the signed parameters: the query of a GET, else the JSON body (LTP docs, Cancel Order)."""
    if method == "GET":
        return query
    if not body:
        return {}
    try:
        # Numbers keep their original text, because that text was signed.
        given = json.loads(body, parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        raise Refusal(1000) from None
    if not isinstance(given, dict):
        raise Refusal(1000)
    return {name: _signed_text(value) for name, value in given.items()}


def _signed_text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    raise Refusal(1000)
