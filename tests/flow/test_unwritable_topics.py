"""A topic that takes nothing, for want of a grant or because it is gone: what does not need it goes on."""

import json

from bridge.contract.session import Cause
from bridge.contract.topics import Stream
from bridge.core.records import Push
from tests.support.outside import Outside
from tests.witness.waiting import until

MARGIN_CALL = json.dumps({"exchangeType": "BINANCE", "uniMMR": "1.1"}).encode()


def hold_a_record_back(outside: Outside) -> None:
    """Let the venue push what cannot be published."""
    outside.topics.unwritable = {Stream.MARGIN_CALLS}
    outside.venue.session.receive(Push("MarginCalls", MARGIN_CALL, b'{"channel":"x","data":' + MARGIN_CALL + b"}"))
    outside.venue.session.receive(Push("Novelty", MARGIN_CALL, b'{"channel":"Novelty","data":' + MARGIN_CALL + b"}"))
    outside.topics.unwritable |= {Stream.UNRECOGNIZED}


async def test_a_cut_is_recovered_while_a_topic_takes_nothing() -> None:
    """The sweep waits for what it publishes itself, and for nothing else."""
    outside = Outside()
    async with outside.running():
        hold_a_record_back(outside)
        await until(lambda: outside.topics.pending)
        outside.venue.session.drop(Cause.LINK_FAILED, "a cut")
        await until(lambda: len(outside.topics.session_events("recovery.complete")) == 2)
        await until(lambda: outside.trading)
        assert outside.topics.pending


async def test_a_takeover_ends_while_a_topic_takes_nothing() -> None:
    """It needs its own record on `results` only."""
    outside = Outside()
    async with outside.running():
        hold_a_record_back(outside)
        await until(lambda: outside.topics.pending)
        outside.group.give_away()
        await until(lambda: outside.group.left)
        outside.group.trouble = None
        await until(lambda: len(outside.topics.session_events("owner.acquired")) == 2 and outside.trading)
        assert outside.topics.pending


async def test_a_takeover_waits_for_its_record_on_results() -> None:
    """Until that is durable, it is not known behind which record an earlier owner's answers do not count."""
    outside = Outside()
    outside.topics.unwritable = {Stream.RESULTS}
    async with outside.running(ready=False):
        await until(lambda: len(outside.members) > 1)
        assert outside.topics.session_events("owner.acquired") == []
        outside.topics.unwritable = set()
        outside.topics.release()
        await until(lambda: outside.trading)
