"""Which answers count: the tests write the records of owners by hand, void ones too."""

import asyncio
import uuid
from collections.abc import AsyncIterator

import msgspec
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from bridge.client import Client, CommandHandle, NotAnswered, NotSent, Unreachable, place_order
from bridge.contract import headers as names
from bridge.contract.results import Outcome, Result, Takeover
from bridge.contract.topics import Stream, topic_name

CALLER = (Stream.COMMANDS, Stream.RESULTS, Stream.DEAD_LETTERS)


class PlayedAccount:
    """An account whose owners the test plays."""

    def __init__(self, bootstrap: str, producer: AIOKafkaProducer) -> None:
        self.bootstrap = bootstrap
        self.prefix = f"t{uuid.uuid4().hex[:12]}"
        self._producer = producer

    async def make_topics(self, *streams: Stream, **configs: str) -> None:
        """Make the topics."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        topics = [topic_name(self.prefix, "main", stream) for stream in streams]
        await admin.create_topics([NewTopic(name, 1, 1, topic_configs=configs) for name in topics])
        await admin.close()

    def client(self) -> Client:
        """Return a client of this account."""
        return Client(self.bootstrap, prefix=self.prefix)

    async def takes_over(self, epoch: int) -> None:
        """Begin the term of an epoch."""
        await self.write(epoch, b"main", msgspec.json.encode(Takeover(epoch, "host", 0)), names.TAKEOVER_TYPE)

    async def says(
        self, epoch: int, one: CommandHandle, outcome: Outcome, order_id: str, *, offset: int | None = None
    ) -> None:
        """Answer a command as the owner of an epoch."""
        at = one.offset if offset is None else offset
        result = Result(one.command_id, at, outcome, answered_at=0, order_id=order_id)
        await self.write(epoch, one.command_id.encode(), msgspec.json.encode(result), names.EVENT_TYPES[Stream.RESULTS])

    async def write(self, epoch: int, key: bytes, value: bytes, kind: bytes) -> None:
        """Write a record of `results`."""
        headers = names.build_event_headers(
            event_id=None, event_source=b"/test", event_type=kind, time_ms=0, subject=key, epoch=epoch, sequence=1
        )
        topic = topic_name(self.prefix, "main", Stream.RESULTS)
        await self._producer.send_and_wait(topic, value, key, headers=headers)


@pytest_asyncio.fixture(loop_scope="session")
async def account(bootstrap: str) -> AsyncIterator[PlayedAccount]:
    """Return an account with its topics."""
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
        made = PlayedAccount(bootstrap, producer)
        await made.make_topics(*CALLER)
        yield made


def order() -> CommandHandle:
    """Return a place that is not on any topic."""
    return CommandHandle(place_order(sym="OKX_SPOT_BTC_USDT", side="BUY", order_type="MARKET", order_qty=1))


async def submit(client: Client) -> CommandHandle:
    """Submit a place."""
    return await client.submit(order().command)


async def test_a_void_answer_is_passed_over(account: PlayedAccount) -> None:
    """After a takeover the answers of the former owner are ignored; those of the new owner count."""
    async with account.client() as client:
        await account.takes_over(1)
        one = await submit(client)
        await account.takes_over(2)
        await account.says(1, one, Outcome.ACCEPTED, "void")
        await account.says(2, one, Outcome.REJECTED, "true")
        assert (await one.result()).order_id == "true"


@pytest.mark.parametrize("flushed", [0, 1, 2500])
async def test_a_client_that_started_after_the_takeover_knows_its_epoch(account: PlayedAccount, flushed: int) -> None:
    """The client starts after the takeover, and the last records before its start may be void themselves."""
    await account.takes_over(2)
    await account.takes_over(3)
    await asyncio.gather(*(account.says(2, order(), Outcome.ACCEPTED, "void", offset=0) for _ in range(flushed)))
    async with account.client() as client:
        one = await submit(client)
        await account.says(2, one, Outcome.ACCEPTED, "void")
        await account.says(3, one, Outcome.REJECTED, "true")
        assert (await one.result()).order_id == "true"


async def test_repeats_and_answers_to_others_are_ignored(account: PlayedAccount) -> None:
    """Among answers to others, to another offset, and repeats, each command gets its own answer once."""
    async with account.client() as client:
        one, other = await submit(client), await submit(client)
        await account.says(1, order(), Outcome.ACCEPTED, "stranger", offset=one.offset)
        await account.says(1, one, Outcome.ACCEPTED, "elsewhere", offset=one.offset + 50)
        await account.write(1, one.command_id.encode(), b"news", b"of.another.type")
        for outcome in (Outcome.UNKNOWN, Outcome.UNKNOWN, Outcome.ACCEPTED, Outcome.ACCEPTED):
            await account.says(1, one, outcome, "own")
        await account.says(1, other, Outcome.DENIED, "other")
        assert (await other.result()).order_id == "other"
        assert [(result.outcome, result.order_id) async for result in one] == [("unknown", "own"), ("accepted", "own")]


async def test_an_answer_may_come_before_the_offset_is_known() -> None:
    """Answers that come before the broker's acknowledgement are kept, and matched when the offset is known."""
    one = order()
    result = Result(one.command_id, 7, Outcome.ACCEPTED, answered_at=0)
    one.on_answer(6, Result(one.command_id, 6, Outcome.DENIED, answered_at=0), {})
    one.on_answer(7, result, {"traceparent": b"t"})
    assert not one.over
    one.on_appended(7)
    assert await one.result() is result
    assert one.headers == {"traceparent": b"t"}


async def test_an_answer_that_cannot_be_read_is_not_waited_for(account: PlayedAccount) -> None:
    """A result that this client cannot decode ends the wait with an error that says so."""
    async with account.client() as client:
        one = await submit(client)
        await account.write(1, one.command_id.encode(), b'{"outcome":"maybe"}', names.EVENT_TYPES[Stream.RESULTS])
        with pytest.raises(NotAnswered, match="its result cannot be read"):
            await one.result()
        with pytest.raises(NotAnswered, match="its result cannot be read"):
            _ = [result async for result in one]


async def test_closing_ends_every_wait(account: PlayedAccount) -> None:
    """When the client closes, every wait ends with NotAnswered, and no task of the client is left."""
    before = asyncio.all_tasks()
    async with account.client() as client:
        waits = [asyncio.create_task((await submit(client)).result()) for _ in range(3)]
        underway = asyncio.create_task(submit(client))
        await asyncio.sleep(0)
    ended = await asyncio.gather(*waits, return_exceptions=True)
    assert [type(error) for error in ended] == [NotAnswered] * 3
    assert "the client was closed" in str(ended[0])
    with pytest.raises((NotSent, NotAnswered), match="the client was closed"):
        await underway
    with pytest.raises(NotSent, match="the client was closed"):
        await submit(client)
    assert asyncio.all_tasks() <= before


async def test_submits_stay_in_the_order_of_the_calls(account: PlayedAccount) -> None:
    """Offsets follow the calls even when one batch cannot hold them; the clientOrderId is known before any answer."""
    commands = [order().command for _ in range(1000)]
    bulk = [("note", b"x" * 12_000)]
    async with account.client() as client:
        waiting = []
        for number, command in enumerate(commands):
            waiting.append(asyncio.create_task(client.submit(command, headers=bulk)))
            await asyncio.sleep(0.001 if number % 20 == 0 else 0)  # calls that come while others wait for room
        submitted = await asyncio.gather(*waiting)
    assert [one.offset for one in submitted] == list(range(1000))
    assert [one.client_order_id for one in submitted] == [command.command_id for command in commands]


async def test_a_submit_that_is_cancelled_stops_no_other(account: PlayedAccount) -> None:
    """A caller that is cancelled during its append changes neither the order nor the answers of other commands."""
    async with account.client() as client:
        tasks = [asyncio.create_task(submit(client)) for _ in range(3)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        first, last = await tasks[0], await tasks[2]
        await account.says(1, last, Outcome.ACCEPTED, "last")
        assert (await last.result()).order_id == "last"
        assert first.offset < last.offset
        assert tasks[1].cancelled()


async def test_a_producer_that_failed_is_replaced(account: PlayedAccount) -> None:
    """When the broker refuses a record, only that submit fails; the next command goes through a new producer."""
    account.prefix = f"t{uuid.uuid4().hex[:12]}"
    await account.make_topics(*CALLER, **{"max.message.bytes": "2000"})
    async with account.client() as client:
        with pytest.raises(NotAnswered, match="MessageSizeTooLarge"):
            await client.submit(order().command, headers=[("note", b"x" * 5000)])
        one = await submit(client)
        await account.says(1, one, Outcome.ACCEPTED, "own")
        assert (await one.result()).order_id == "own"


async def test_a_client_that_was_not_opened_sends_nothing(account: PlayedAccount) -> None:
    """Without `async with` a submit raises an error that says so."""
    with pytest.raises(NotSent, match="async with"):
        await submit(account.client())


@pytest.mark.parametrize("there", [(), (Stream.COMMANDS,)])
async def test_topics_that_are_missing_are_named(account: PlayedAccount, there: tuple[Stream, ...]) -> None:
    """A client with a wrong prefix fails at once, names the topic, and leaves no task."""
    before = asyncio.all_tasks()
    account.prefix = f"t{uuid.uuid4().hex[:12]}"
    await account.make_topics(*there)
    missing = topic_name(account.prefix, "main", Stream.RESULTS if there else Stream.COMMANDS)
    with pytest.raises(Unreachable, match=rf"{missing} cannot be .*UnknownTopicOrPartition"):
        await account.client().__aenter__()
    assert asyncio.all_tasks() <= before
