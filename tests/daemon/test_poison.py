"""The poison page: nothing that a caller or the venue can write stops the account, or takes half of 512 MiB."""

import asyncio
import resource
from contextlib import AsyncExitStack

import pytest

from bridge.config.timing import Timing
from bridge.contract.topics import Stream
from tests.support.poison import FRAMES, LIMIT_BYTES, PEAK_MIB_MAX, SHORT, Page, batches, runaway
from tests.support.rig import Rig


class Owner:
    """The process that owns the account, in 512 MiB."""

    def __init__(self, rig: Rig, stack: AsyncExitStack, lane_commands_max: int) -> None:
        self._rig = rig
        self._stack = stack
        # The venue's window is not the point: the cancels must not run out of slots.
        self._limits = {"cancel_per_window": 100_000, "lane_commands_max": lane_commands_max}
        # A cancel whose answer cannot be read is in doubt, and places wait for slots; neither is the point.
        self._timing = Timing(ack_timeout_s=2, late_landing_s=3, skew_bound_s=1, validity_default_place_s=2)
        self.process: asyncio.subprocess.Process

    async def start(self) -> int:
        """Start it; return its process id."""
        one = self._rig.daemon_process(unread=True, limits=self._limits, timing=self._timing)
        self.process = await self._stack.enter_async_context(one)
        resource.prlimit(self.process.pid, resource.RLIMIT_DATA, (LIMIT_BYTES, LIMIT_BYTES))
        return self.process.pid

    async def die(self) -> int:
        """Kill it and start the next."""
        self.process.kill()
        await self.process.wait()
        return await self.start()


@pytest.mark.parametrize(("scale", "deadline_s"), [(1, 60), pytest.param(100, 300, marks=pytest.mark.poison)])
async def test_the_poison_page(rig: Rig, scale: int, deadline_s: float) -> None:
    """Before, during and after each pill a cancel is answered in time, or the account says that it is not.

    Every offset has one answer, and the process lives.
    """
    async with AsyncExitStack() as stack:
        owner = Owner(rig, stack, lane_commands_max=2000 if scale == 1 else 10_000)
        pid = await owner.start()
        session, results = await rig.topic(Stream.SESSION), await rig.topic(Stream.RESULTS)
        letters = await rig.topic(Stream.DEAD_LETTERS)
        await session.until(lambda vs: any(v["type"] == "recovery.complete" for v in vs), 60)
        page = Page(rig, pid, results=results, letters=letters, session=session, deadline_s=deadline_s)
        stack.callback(lambda: print(f"\n{page}"))  # noqa: T201 - make poison shows it
        await page.take_batches("a bomb, at a topic that is as it should be", batches(1)["zstd, 1 GiB in 32 KB"]())
        assert page.lines[0].broker.startswith("refuses")
        await page.set_compression("producer")
        for pill, text in FRAMES.items():
            if scale > 1 or pill in SHORT:
                await page.take_frame(pill, text)
        for pill, written in batches(scale).items():
            if scale > 1 or pill in SHORT:
                await page.take_batches(pill, written())
        assert [v for v in session.values if v["type"] == "owner.acquired"][1:] == []
        if scale > 1:
            await page.set_compression("uncompressed")  # with the other none would start
            await page.take_over("the same, and its owner is killed", runaway(scale), owner.die)
        end = await page.end()
        async with asyncio.timeout(600):
            while await page.committed() <= end:  # noqa: ASYNC110 - a broker has no event to wait for
                await asyncio.sleep(0.5)
        await page.every_command_is_answered(end)
        assert owner.process.returncode is None
        assert max(line.peak_mib for line in page.lines) <= PEAK_MIB_MAX
        assert page.peak_mib() <= PEAK_MIB_MAX
