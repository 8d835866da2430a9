"""A key file that breaks while the daemon runs raises an alarm and ends nothing."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web

from bridge.account_parts import clock
from bridge.config import AccountConfig, Endpoint
from bridge.flow import term
from bridge.flow.dependencies import TermDependencies
from bridge.ltp.rest import RestClient
from tests.support.outside import Outside
from tests.witness.waiting import until

_PACED_S = 60
"""The client keeps the venue's limits: five questions about executions in ten seconds."""


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the files often."""
    monkeypatch.setattr(term, "_WATCH_PERIOD_S", 0.02)


def _alarms(out: Outside, kind: str) -> list[dict[str, Any]]:
    return [event for event in out.topics.session_events(kind) if event["alarm"] == "key_unusable"]


async def test_the_alarm_lasts_as_long_as_the_problem() -> None:
    """It is raised once, with what is wrong, and cleared when the file has been mended; the session lives on."""
    out = Outside(rest_lag_s=0.1)
    async with out.running():
        await out.closed(1)
        out.venue.key_problem = "api_key_file: two lines"
        await until(lambda: bool(_alarms(out, "alarm.raised")))
        assert (
            "api_key_file: two lines; until then the key that was last usable"
            in _alarms(out, "alarm.raised")[0]["detail"]
        )
        out.venue.key_problem = None
        await until(lambda: bool(_alarms(out, "alarm.cleared")))
        assert len(_alarms(out, "alarm.raised")) == 1
        assert out.topics.session_events("session.lost") == []
        assert len(out.venue.sessions) == 1


@contextlib.asynccontextmanager
async def _rest_of(account: AccountConfig, keys: list[str]) -> AsyncIterator[RestClient]:
    """Serve a venue that lists nothing and notes the key of each question."""

    async def answer(request: web.Request) -> web.Response:
        keys.append(request.headers["X-MBX-APIKEY"])
        plain = request.path.endswith(("/position", "/account"))
        page = {"page": 1, "pageSize": 1000, "pageNum": 1, "totalSize": 0, "list": []}
        return web.json_response({"code": 200000, "data": [] if plain else page})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        endpoint = Endpoint(name="here", ws_url="ws://127.0.0.1/v1/private", rest_url=url)
        async with RestClient([endpoint], account, clock) as rest:
            yield rest
    finally:
        await runner.cleanup()


async def test_a_rotation_that_goes_wrong_ends_no_term(tmp_path: Path) -> None:
    """Requests go on with the old key while the file is broken, and with the new one once it is mended."""
    (tmp_path / "key").write_text("ak-old")
    (tmp_path / "secret").write_text("sk")
    account = AccountConfig(api_key_file=tmp_path / "key", api_secret_file=tmp_path / "secret")
    keys: list[str] = []
    async with _rest_of(account, keys) as rest:
        out = Outside(rest_lag_s=0.1, audit_period_s=0.2)
        made = out.flow._parts.new_term

        def parts(member: Any) -> TermDependencies:  # noqa: ANN401 - the group's member of the tests
            return msgspec.structs.replace(made(member), rest=rest)

        out.flow._parts = msgspec.structs.replace(out.flow._parts, new_term=parts)
        async with out.running():
            await out.closed(1)
            account.api_key_file.write_text("ak-new\nak-old\n")
            await until(lambda: bool(_alarms(out, "alarm.raised")))
            asked = len(keys)
            await until(lambda: len(keys) > asked + 3, _PACED_S)
            assert set(keys) == {"ak-old"}
            account.api_key_file.write_text("ak-new")
            await until(lambda: "ak-new" in keys, _PACED_S)
            await until(lambda: bool(_alarms(out, "alarm.cleared")))
        assert len(out.topics.session_events("owner.acquired")) == 1
        assert out.topics.session_events("session.opened") != []
