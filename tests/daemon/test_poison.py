"""The poison page: nothing that a caller or the venue can write stops the account, or takes more than 512 MiB."""

import asyncio
import resource

import pytest
from poison import FRAMES, LIMIT_BYTES, SHORT, Page, batches
from rig import Rig

from bridge.config.timing import Timing
from bridge.contract.topics import Stream


@pytest.mark.parametrize(("scale", "deadline_s"), [(1, 60), pytest.param(100, 300, marks=pytest.mark.poison)])
async def test_the_poison_page(rig: Rig, scale: int, deadline_s: float) -> None:
    """Before, during and after each pill a cancel is answered in time, or the account says that it is not.

    Every offset is accounted for, and the process lives.
    """
    # The venue's window is not the point: the cancels must not run out of slots.
    limits = {"cancel_per_window": 100_000, "lane_commands_max": 2000}
    # A cancel whose answer cannot be read is in doubt, which is not the point either.
    timing = Timing(ack_timeout_s=2, late_landing_s=5)
    async with rig.daemon_process(unread=True, limits=limits, timing=timing) as process:
        resource.prlimit(process.pid, resource.RLIMIT_DATA, (LIMIT_BYTES, LIMIT_BYTES))
        session, results = await rig.topic(Stream.SESSION), await rig.topic(Stream.RESULTS)
        await session.until(lambda vs: any(v["type"] == "recovery.complete" for v in vs), 60)
        page = Page(rig, process.pid, results, session, deadline_s=deadline_s)
        await page.take_batches("a bomb, at a topic that is as it should be", batches(1)["zstd, 1 GiB in 32 KB"]())
        assert page.lines[0].broker.startswith("refuses")
        await page.let_the_broker_take_everything()
        for pill, text in FRAMES.items():
            if scale > 1 or pill in SHORT:
                await page.take_frame(pill, text)
        for pill, written in batches(scale).items():
            if scale > 1 or pill in SHORT:
                await page.take_batches(pill, written())
        end = await page.end()
        async with asyncio.timeout(600):
            while await page.committed() <= end:  # noqa: ASYNC110 - a broker has no event to wait for
                await asyncio.sleep(0.5)
        print(f"\n{page}")  # noqa: T201 - make poison shows it
        assert process.returncode is None
        assert page.peak_mib() < LIMIT_BYTES // (1024 * 1024)
        assert [v for v in session.values if v["type"] == "owner.acquired"][1:] == []
