"""The whole bridge with a REST side whose answers are well, and whose headers are not."""

from aiohttp import ClientSession, web

from bridge.config import Timing
from bridge.contract.topics import Stream
from tests.support.rig import PLACE, Rig, command

ODD = "Sun, 06 Nov 1994 08:49:37 -99999999999999"


async def test_an_odd_date_ends_no_term(rig: Rig, unused_tcp_port: int) -> None:
    """One owner sweeps, trades and stays; nothing is concluded from a time that is none."""

    async def pass_on(request: web.Request) -> web.StreamResponse:
        asked = {name: request.headers[name] for name in ("X-MBX-APIKEY", "nonce", "signature")}
        async with ClientSession() as http, http.get(rig.venue.rest_url + request.raw_path, headers=asked) as answer:
            return web.Response(status=answer.status, body=await answer.read(), headers={"Date": ODD})

    app = web.Application()
    app.router.add_get("/{path:.*}", pass_on)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", unused_tcp_port).start()
    end = {"name": "T", "ws_url": rig.venue.ws_url, "rest_url": f"http://127.0.0.1:{unused_tcp_port}"}
    try:
        async with rig.daemon(rig.settings(endpoints=[end], timing=Timing(rest_lag_s=1))):
            session, results = await rig.topic(Stream.SESSION), await rig.topic(Stream.RESULTS)
            one = command("place_order", PLACE, valid_s=60)
            await rig.send(one)
            assert (await results.result(one, 60))["outcome"] == "accepted"
            await session.until(lambda vs: any(v["type"] == "gap.closed" for v in vs), 60)
    finally:
        await runner.cleanup()
    assert sum(v["type"] == "owner.acquired" for v in session.values) == 1
    assert [v["alarm"] for v in session.values if v["type"] == "alarm.raised"] == []
