"""A strategy trades through the client: real broker, daemon and sandbox venue."""

import asyncio
import os
import re
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bridge.client import Client, CommandRefused, NotAnswered, place_order
from bridge.contract.commands import PlaceOrder
from bridge.contract.results import Outcome, Reason
from bridge.sandbox.venue.faults import Fault, FaultKind
from tests.support.rig import Rig

RESTING: dict[str, Any] = {
    "sym": "BINANCE_PERP_BTC_USDT",
    "side": "BUY",
    "order_type": "LIMIT",
    "time_in_force": "GTC",
    "order_qty": "0.003",
    "limit_price": "20000",
}
"""A place that rests: far below the market."""
HELD = Fault(kind=FaultKind.HOLD_REQUEST, action="place_order", times=1)
README = Path(__file__).parents[2] / "README.md"


def placed(rig: Rig) -> int:
    """Count the places that reached the venue."""
    return len(rig.venue.ledger.requests_received("place_order", rig.venue.keys["main"].portfolio_id))


async def test_all_four_calls_return_the_venues_answer(client: Client, rig: Rig) -> None:
    """place, replace, cancel and cancel_all return accepted results, and nothing is left open."""
    order = await client.place(**RESTING)
    assert order.outcome is Outcome.ACCEPTED
    assert list(rig.venue.portfolio().open_orders) == [order.order_id]
    replaced = await client.replace(client_order_id=order.client_order_id, replace_price="20100")
    cancelled = await client.cancel(order_id=replaced.order_id)
    everything = await client.cancel_all("ALL")
    assert [one.outcome for one in (replaced, cancelled, everything)] == [Outcome.ACCEPTED] * 3
    assert rig.venue.portfolio().open_orders == {}


async def test_a_refusal_is_returned_and_not_raised(client: Client) -> None:
    """A denied or rejected command returns a result with its reason or code."""
    priceless = await client.place(**{**RESTING, "limit_price": None})
    expired = await client.place(**RESTING, valid_for_s=-5)
    huge = await client.place(**{**RESTING, "order_qty": 9_999_999})
    assert (priceless.outcome, priceless.reason) == (Outcome.DENIED, Reason.BAD_VALUE)
    assert expired.outcome is Outcome.EXPIRED
    assert huge.outcome is Outcome.REJECTED
    assert huge.code is not None


async def test_500_places_at_once_each_get_their_own_answer(client: Client, rig: Rig) -> None:
    """Each of 500 concurrent places gets the answer to its own commandId, and the venue has it once."""
    names = [f"quote{number}" for number in range(500)]
    results = await asyncio.gather(*(client.place(**RESTING, client_order_id=name, valid_for_s=60) for name in names))
    assert [result.client_order_id for result in results] == names
    assert {result.outcome for result in results} == {Outcome.ACCEPTED}
    assert len({result.order_id for result in results}) == placed(rig) == 500


@pytest.mark.parametrize("client", [{"timing": {"ack_timeout_s": 0.5}}], indirect=True)
async def test_unknown_comes_before_the_terminal_result(client: Client, rig: Rig) -> None:
    """An order without an answer is `unknown` first; the terminal result follows on the same handle."""
    rig.venue.faults.add(Fault(kind=FaultKind.MUTE_PUSH, channel="Orders", times=None))
    rig.venue.faults.add(Fault(kind=FaultKind.DELAY_ANSWER, action="place_order", delay_s=2))
    submitted = await client.submit(place_order(**RESTING))
    seen = [(result.outcome, submitted.in_doubt) async for result in submitted]
    assert seen == [(Outcome.UNKNOWN, True), (Outcome.ACCEPTED, False)]
    assert [result.outcome async for result in submitted] == [Outcome.UNKNOWN, Outcome.ACCEPTED]


async def test_a_timeout_says_that_the_order_may_be_live(client: Client, rig: Rig) -> None:
    """When the time runs out, the error has the command's handle, which can be awaited again."""
    held = rig.venue.faults.add(HELD)
    with pytest.raises(NotAnswered, match="may have been carried out, or may still be") as waiting:
        await client.place(**RESTING, timeout_s=1)
    submitted = waiting.value.submitted
    assert submitted is not None
    with pytest.raises(NotAnswered, match=r"after 0\.01 s"):
        await submitted.result(timeout_s=0.01)
    held.release()
    assert (await submitted.result()).outcome is Outcome.ACCEPTED


async def test_a_cancelled_wait_loses_no_other_answer(client: Client, rig: Rig) -> None:
    """Two callers await the same command and one is cancelled; the other one and the next command get their answers."""
    held = rig.venue.faults.add(HELD)
    submitted = await client.submit(place_order(**RESTING))
    impatient, patient = asyncio.create_task(submitted.result()), asyncio.create_task(submitted.result())
    await asyncio.sleep(0)
    impatient.cancel()
    assert (await client.place(**RESTING)).outcome is Outcome.ACCEPTED
    held.release()
    assert (await patient).outcome is Outcome.ACCEPTED
    assert impatient.cancelled()


async def test_a_command_is_submitted_again_after_a_restart(client: Client, rig: Rig) -> None:
    """The same command, stored as JSON, gets its first outcome in the next process too; the venue has one order."""
    command = place_order(**RESTING)
    kept = msgspec.json.encode(command)
    first = await (await client.submit(command)).result()
    async with Client(rig.bootstrap, prefix=rig.prefix) as restarted:
        again = await restarted.submit(msgspec.json.decode(kept, type=PlaceOrder))
        result = await again.result()
    assert (result.order_id, result.outcome) == (first.order_id, Outcome.ACCEPTED)
    assert result.command_offset == again.offset > first.command_offset
    assert (first.repeated, result.repeated) == (False, True)
    assert placed(rig) == 1


async def test_a_command_id_of_another_command_is_refused(client: Client, rig: Rig) -> None:
    """A second body under a commandId is a dead letter and does not get the answer to the first, which is in flight."""
    assert (await client.place(**RESTING)).outcome is Outcome.ACCEPTED
    held = rig.venue.faults.add(HELD)
    first = await client.submit(place_order(**RESTING, command_id="c-1"))
    repeat = await client.submit(place_order(**RESTING, command_id="c-1"))
    with pytest.raises(CommandRefused, match="used at offset") as refused:
        await client.place(**{**RESTING, "order_qty": "9"}, command_id="c-1")
    held.release()
    assert refused.value.reason == Reason.ID_CONFLICT
    assert (await first.result()).outcome is Outcome.ACCEPTED
    assert (await first.result()).order_id == (await repeat.result()).order_id
    assert placed(rig) == 2


async def test_headers_come_back_on_the_result(client: Client) -> None:
    """The caller's trace context and correlation ids are on the result's record, beside the bridge's headers."""
    sent = [
        ("traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        ("kafka_correlationId", b"\x00\x01"),
        ("correlation_id", b"q-7"),
    ]
    submitted = await client.submit(place_order(**RESTING), headers=sent)
    await submitted.result()
    assert dict(sent).items() <= submitted.headers.items()
    assert submitted.headers["ce_type"] == b"ltp.result.v1"


async def test_the_example_of_the_readme_runs(client: Client, rig: Rig) -> None:
    """The README's example of the client runs unchanged, except for the broker's address and the prefix."""
    section = README.read_text(encoding="utf-8").partition("### A client for Python")[2]
    shown = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert shown is not None
    example = shown.group(1).replace('"kafka-0:9092"', f'"{rig.bootstrap}", prefix="{rig.prefix}"')
    running = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        example,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    output, _ = await running.communicate()
    assert running.returncode == 0
    assert [line.split()[:2] for line in output.decode().splitlines()] == [
        ["placed", "accepted"],
        ["moved", "accepted"],
        ["quoted", "accepted"],
        ["cancelled", "accepted"],
    ]
    assert rig.venue.portfolio().open_orders == {}
