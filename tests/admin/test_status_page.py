"""The status page needs nothing but its own port, and nothing that others wrote can change it."""

import asyncio
import base64
import contextlib
import hashlib
import json
import re
import string
import time
from collections.abc import AsyncIterator, Callable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from yarl import URL

from bridge.account_parts import AccountParts, clock
from bridge.admin.account_report import AccountReport
from bridge.admin.bounded_server import CONNECTION_S, CONNECTIONS_MAX, serve_bounded
from bridge.admin.health import AccountHealth, MissingPart, make_probe_routes
from bridge.admin.management import build_application, serve
from bridge.admin.status_document import ProcessFacts, build_document
from bridge.admin.status_page import encode_document, make_status_routes
from bridge.config import Management, Settings
from bridge.contract.results import Outcome, Result
from bridge.contract.session import Alarm
from bridge.core.alarms import ActiveAlarm
from bridge.core.now import Now
from bridge.core.records import PublishedResult
from bridge.flow.supervisor import AccountPhase
from bridge.kafka.record_sender import PublisherCallbacks
from bridge.metrics import AccountMetrics, Metrics
from tests.admin.test_status_document import ENTRIES
from tests.support.account_reports import AT_MS, make_report, make_stopped_report
from tests.support.one_account import OneAccount
from tests.witness.daemon_settings import account_section, daemon_settings
from tests.witness.waiting import until

PROCESS = ProcessFacts("host:1", "0.1.0", "sandbox", AT_MS)
PAGE = resources.files("bridge.admin").joinpath("status.html").read_text(encoding="utf-8")
PATHS = ("/", "/events", "/status.json")
HOSTILE = (
    "</script><script>document.title = 'owned'</script>",
    "\"'><img src=x onerror=alert(1)>",
    "\n\ndata: {}\n\nevent: message\r\nretry: 1\r\rid: 1",
    "\x00\x07\x1b[2J\x7f\x85\u2028\u2029\u202e\ufeff",
    "\ud800 half a character",
    "x\u0301" * 500_000,
)


@contextlib.asynccontextmanager
async def _serve(
    reports: Sequence[AccountReport] | Callable[[], Sequence[AccountReport]], read_clock: Callable[[], Now] = clock
) -> AsyncIterator[str]:
    """Serve the page for some accounts, with the probes; yield the address of the port."""
    read = reports if callable(reports) else lambda: reports
    routes = [
        *make_probe_routes(lambda: {one.name: one.health for one in read()}),
        *make_status_routes(PROCESS, read, read_clock),
    ]
    async with serve(Management(port=0), routes) as port:
        yield f"http://127.0.0.1:{port}"


async def _fetch(address: str, method: str = "GET") -> tuple[aiohttp.ClientResponse, bytes]:
    async with aiohttp.ClientSession() as http, http.request(method, URL(address)) as answer:
        return answer, await answer.read()


async def _fetch_document(reports: Sequence[AccountReport]) -> Any:  # noqa: ANN401 - JSON
    async with _serve(reports) as address:
        return json.loads((await _fetch(f"{address}/status.json"))[1])


def _count_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _report_everywhere(text: str) -> AccountReport:
    """Return a report that has a text wherever the venue, a caller or a broker may have written it."""
    one = OneAccount()
    alarms = [ActiveAlarm(Alarm.TOPIC_LOST, text, text, AT_MS)]
    result = Result(text, 0, Outcome.REJECTED, AT_MS, text, code=1, message=text, order_id=text)
    return make_report(
        one,
        status=structs.replace(one.account.read_status(one.now), alarms=alarms),
        health=AccountHealth(ready=False, phase="owner", detail=text, missing=[MissingPart("session", AT_MS, text)]),
        last_results=[PublishedResult(result, AT_MS)],
    )


async def test_the_policy_allows_only_what_is_in_the_page() -> None:
    """Its one script and one style by what stands in them, requests to its own port, and no text as markup."""
    async with _serve([]) as address:
        answer, body = await _fetch(f"{address}/")
    assert body.decode() == PAGE

    def digest(tag: str) -> str:
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", PAGE, re.DOTALL)
        return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"

    directives = [part.split(maxsplit=1) for part in answer.headers["Content-Security-Policy"].split("; ")]
    assert dict(directives) == {
        "default-src": "'none'",
        "script-src": digest("script"),
        "style-src": digest("style"),
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }


def test_the_page_names_no_other_place() -> None:
    """No address but the two names of namespaces, and no relative one but those of its own port."""
    assert set(re.findall(r"\w+://[^\"'\s]+", PAGE)) == {"http://www.w3.org/1999/xhtml", "http://www.w3.org/2000/svg"}
    assert set(re.findall(r"""\b(?:src|href)="([^"]*)""", PAGE)) == {"status.json", "readyz", "metrics"}
    assert not re.search(r"@import|\burl\(|import\(|fetch\(|XMLHttpRequest|WebSocket|sendBeacon", PAGE)


def test_the_script_makes_no_markup_of_text() -> None:
    """It uses none of the calls that would, and there is no handler and no style in an attribute."""
    parsing = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|DOMParser"
    assert not re.search(rf"{parsing}|\beval\b|\bFunction\(", PAGE)
    assert not re.search(r"""<[^>]*\s(?:on\w+|style)=""", PAGE.split("<script>")[0])


def test_what_the_page_says_about_the_runbook_is_true() -> None:
    """Every entry that the page names by itself exists, and it has words for every phase of an account."""
    named = set(re.findall(r'add\("\w+", "([\w-]+)"', PAGE))
    assert len(named) >= 4
    assert named <= ENTRIES
    for phase in set(AccountPhase) - {AccountPhase.OWNER}:
        assert f'["{phase.value}", [' in PAGE


@pytest.mark.parametrize("path", PATHS)
async def test_each_answer_is_new_and_is_what_it_says(path: str) -> None:
    """No browser keeps it, guesses its type, or lets another site read it."""
    types = {"/": "text/html", "/events": "text/event-stream", "/status.json": "application/json"}
    async with _serve([make_report(None)]) as address:
        answer, _ = await _fetch(address + path)
    assert (answer.status, answer.content_type, answer.charset) == (200, types[path], "utf-8")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert "Content-Security-Policy" in answer.headers


@pytest.mark.parametrize("path", PATHS)
async def test_nothing_can_be_changed(path: str) -> None:
    """Only GET and HEAD are answered; a HEAD has no content."""
    async with _serve([make_report(None)]) as address:
        for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            assert (await _fetch(address + path, method))[0].status == 405
        answer, body = await _fetch(address + path, "HEAD")
    assert (answer.status, body) == (200, b"")


@pytest.mark.parametrize("path", ["/events/", "/status", "/../etc/passwd", "/%2e%2e/metrics.py", "/status.html"])
async def test_there_is_nothing_else(path: str) -> None:
    """No file of the package or of the machine is served."""
    async with _serve([make_report(None)]) as address:
        assert (await _fetch(address + path))[0].status == 404


async def test_an_event_is_the_document_and_when_to_ask_again() -> None:
    """A browser asks again by itself after two seconds: the port ends each connection."""
    one = OneAccount()
    async with _serve([make_report(one)], lambda: one.now) as address:
        _, event = await _fetch(f"{address}/events")
        _, document = await _fetch(f"{address}/status.json")
    assert event == b"retry: 2000\ndata: " + document + b"\n\n"
    assert json.loads(document)["accounts"][0]["owned"]["endpoint"] == "AZ4"


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
async def test_no_text_breaks_the_event(text: str) -> None:
    """What the venue and callers write is one line of printable ASCII, and comes out as it was, cut."""
    async with _serve([_report_everywhere(text)]) as address:
        _, event = await _fetch(f"{address}/events")
    retry, line, *rest = event.decode("ascii").split("\n")
    assert (retry, rest) == ("retry: 2000", ["", ""])
    assert set(line) <= set(string.ascii_letters + string.digits + string.punctuation + " ")
    assert len(line) < 100_000
    (shown,) = json.loads(line.removeprefix("data: "))["accounts"]
    told = [shown["detail"], shown["missing"][0]["detail"], shown["owned"]["alarms"][0]["detail"]]
    assert {one.removesuffix("…") for one in told} == {text[: len(told[0].removesuffix("…"))]}


@given(st.text(st.characters()))
def test_every_text_comes_back_as_it_was(text: str) -> None:
    """Whatever characters it has, also halves of one, in printable ASCII."""
    report = make_report(None, health=AccountHealth(ready=True, phase="standby", detail=text[:500]))
    encoded = encode_document(build_document(PROCESS, [report], AT_MS))
    assert re.fullmatch(rb"[ -~]+", encoded)
    assert json.loads(encoded)["accounts"][0]["detail"] == text[:500]


async def test_the_document_is_built_once_for_all_who_ask() -> None:
    """Once a second while somebody asks, and never while nobody does."""
    built, now = [], Now(1000.0, AT_MS)

    def read_reports() -> list[AccountReport]:
        built.append(now.boot_s)
        return [make_report(None)]

    async with _serve(read_reports, lambda: now) as address:
        assert built == []
        await asyncio.gather(*(_fetch(f"{address}/events") for _ in range(20)))
        now = Now(1000.9, AT_MS + 900)
        await _fetch(f"{address}/status.json")
        assert built == [1000.0]
        now = Now(1001.0, AT_MS + 1000)
        _, document = await _fetch(f"{address}/status.json")
        await _fetch(f"{address}/")
    assert built == [1000.0, 1001.0]
    assert json.loads(document)["at_ms"] == AT_MS + 1000


async def test_readers_that_read_nothing_hold_nobody_up() -> None:
    """Hundreds ask for the document of fifty accounts and read nothing; a probe is answered, and all are ended."""
    reports = [make_report(OneAccount(), name=f"a{number}") for number in range(50)]
    routes = [*make_probe_routes(dict), *make_status_routes(PROCESS, lambda: reports, clock)]
    async with serve_bounded(build_application(routes), "127.0.0.1", 0, connection_s=0.5) as port:
        before, stuck = _count_descriptors(), []
        for _ in range(4 * CONNECTIONS_MAX):
            stuck.append(await asyncio.open_connection("127.0.0.1", port, limit=1))
            stuck[-1][1].write(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
        try:
            began = time.monotonic()
            assert (await _fetch(f"http://127.0.0.1:{port}/livez"))[0].status == 200
            assert time.monotonic() - began < CONNECTION_S
            # The readers' own ends are in this process, too.
            await until(lambda: _count_descriptors() - before <= len(stuck), CONNECTION_S * 4)
        finally:
            for _, writer in stuck:
                writer.transport.abort()


async def test_the_document_of_many_accounts_is_small_and_quick() -> None:
    """Fifty accounts with twenty results each: half a megabyte, and a few milliseconds of the event loop."""
    result = PublishedResult(Result("c" * 36, 0, Outcome.ACCEPTED, AT_MS, "place_order", order_id="1" * 16), AT_MS)
    reports = [make_report(OneAccount(), name=f"a{number}", last_results=[result] * 20) for number in range(50)]
    spent = []
    for _ in range(5):
        began = time.thread_time()
        encoded = encode_document(build_document(PROCESS, reports, AT_MS))
        spent.append(time.thread_time() - began)
    assert len(encoded) < 500_000
    assert min(spent) < 0.05


async def test_every_state_of_an_account_can_be_shown() -> None:
    """Owner, standby, stopped and none at all."""
    shown = await _fetch_document([make_report(OneAccount()), make_report(None), make_stopped_report("gone")])
    assert [(one["phase"], one["owned"] is None) for one in shown["accounts"]] == [
        *(("owner", False), ("standby", True), ("stopped", True)),
    ]
    assert await _fetch_document([]) | {"at_ms": 0} == {
        "at_ms": 0,
        "ready": False,
        "process": {"instance": "host:1", "version": "0.1.0", "environment": "sandbox", "started_ms": AT_MS},
        "accounts": [],
    }


async def test_no_secret_is_shown(tmp_path: Path) -> None:
    """The settings of an account that has never started have keys and passwords, and the page has none of them."""
    secrets = {"api_key": "the-api-key-1", "api_secret": "the-api-secret-2", "password": "the-password-3"}
    values = daemon_settings(
        ws_url="ws://127.0.0.1:1/",
        rest_url="http://127.0.0.1:1",
        bootstrap="127.0.0.1:1",
        prefix="ltp",
        accounts={"main": account_section(tmp_path, "main", secrets["api_key"], secrets["api_secret"])},
    )
    password = tmp_path / "password"
    password.write_text(secrets["password"])
    password.chmod(0o600)
    values["kafka"] |= {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "PLAIN",
        "sasl_username": "bridge",
        "sasl_password_file": str(password),
    }
    settings = Settings.model_validate(values)
    metrics = AccountMetrics(Metrics("test"), "main")
    parts = AccountParts("main", settings.accounts["main"], settings, "host:1", PublisherCallbacks(), metrics=metrics)
    async with _serve(lambda: [parts.read_report()]) as address:
        told = b"".join([(await _fetch(address + path))[1] for path in PATHS])
    assert b'"phase":"joining"' in told
    assert not [name for name, value in secrets.items() if value.encode() in told]
