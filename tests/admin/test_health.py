"""The management port reports liveness and readiness."""

import aiohttp
import pytest

from bridge.admin.health import AccountHealth, make_probe_routes
from bridge.admin.management import serve
from bridge.config import Management


@pytest.mark.parametrize(
    ("accounts", "status"),
    [
        ({"main": AccountHealth(ready=True, phase="owner")}, 200),
        ({"main": AccountHealth(ready=True, phase="standby")}, 200),
        ({"main": AccountHealth(ready=True, phase="owner"), "b": AccountHealth(ready=False, phase="stopped")}, 503),
        ({}, 503),
    ],
)
async def test_ready_when_every_account_is(accounts: dict[str, AccountHealth], status: int) -> None:
    """`/readyz` is 200 only if all accounts are ready, and names each; `/livez` is 200 either way."""
    async with serve(Management(port=0), make_probe_routes(lambda: accounts)) as port, aiohttp.ClientSession() as http:
        async with http.get(f"http://127.0.0.1:{port}/readyz") as answer:
            assert answer.status == status
            body = await answer.json()
        async with http.get(f"http://127.0.0.1:{port}/livez") as alive:
            assert alive.status == 200
    assert set(body["accounts"]) == set(accounts)
    assert body["ready"] is (status == 200)


async def test_a_port_that_is_taken_is_an_error() -> None:
    """Two processes cannot share the management port silently."""
    async with serve(Management(port=0), []) as port:
        with pytest.raises(OSError, match="in use"):
            async with serve(Management(port=port), []):
                pass
