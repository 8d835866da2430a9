"""The client: commands out, answers back, each to the one who asked."""

import asyncio
from typing import Any, Final, Self, Unpack

import msgspec
from aiokafka import ConsumerRecord, TopicPartition

from bridge.client.command_handle import CommandHandle, CommandRefused, NotAnswered, NotSent, Unreachable
from bridge.client.commands import (
    CancelOptions,
    CommandOptions,
    PlaceOptions,
    ReplaceOptions,
    cancel_order,
    cancel_orders,
    place_order,
    replace_order,
)
from bridge.client.reader import AnswerReader
from bridge.client.writer import Writer, words
from bridge.contract import headers as names
from bridge.contract.commands import Command, Scope
from bridge.contract.headers import Headers
from bridge.contract.results import Result
from bridge.contract.topics import Stream, topic_name

LOOK_BACK_RECORDS: Final = 10_000
"""How many records of `results` before the end are read first, for the highest epoch.

An answer is void if a higher epoch came before it, perhaps before this client began. The last record does not tell the
highest epoch: it may be void itself. Nor does a stretch of time: an owner that was frozen may wake days after it was
put out, on a topic where nothing has happened since. What counts is how much it can still write after the last word of
its successor: answers to what it had in flight (1,200 places and replaces by default, and the cancels of a minute) and
what its publisher held. So this many records, which take a fraction of a second, hold one that is not void.
"""

_START_S: Final = 10.0
_REQUEST_MS: Final = 3000
_decode_result = msgspec.json.Decoder(Result).decode


class Client:
    """Trades one account over its topics, for the length of an `async with`.

    `options` go to aiokafka's producer and consumer: `security_protocol`, `ssl_context`, `sasl_mechanism`,
    `sasl_plain_username`, `sasl_plain_password`, `client_id` and the like. It needs to write `commands` and to read
    `results` and `dead-letters`, in no consumer group. A command whose record is not acknowledged within
    `append_timeout_s` is given up.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        *,
        account: str = "main",
        prefix: str = "ltp",
        append_timeout_s: float = 5.0,
        **options: Any,  # noqa: ANN401 - aiokafka's
    ) -> None:
        self._options = {"bootstrap_servers": bootstrap_servers, "request_timeout_ms": _REQUEST_MS, **options}
        self._results = TopicPartition(topic_name(prefix, account, Stream.RESULTS), 0)
        self._letters = TopicPartition(topic_name(prefix, account, Stream.DEAD_LETTERS), 0)
        self._writer = Writer(topic_name(prefix, account, Stream.COMMANDS), self._options, append_timeout_s)
        self._waiting: dict[str, list[CommandHandle]] = {}
        self._epoch = -1
        self._closed: str | None = "it is not open: use `async with`"
        self._reading: asyncio.Task[None] | None = None
        self._reader = AnswerReader(self._options, (self._results, self._letters))

    async def __aenter__(self) -> Self:
        try:
            await self._writer.start()
            await self._begin_reading()
        except BaseException:
            await self.__aexit__()
            raise
        self._closed = None
        return self

    async def __aexit__(self, *_: object) -> None:
        self._end("the client was closed")
        await self._writer.close()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading})
            await self._reader.close()

    async def place(
        self, *, timeout_s: float | None = None, headers: Headers = (), **terms: Unpack[PlaceOptions]
    ) -> Result:
        """Place an order and wait for the last word on it, which may be that it was denied or rejected.

        Raises BadCommand or NotSent when nothing was sent, NotAnswered when the time runs out (the order may be live),
        and CommandRefused for a dead letter. `headers` go with the record.
        """
        return await self._ask(place_order(**terms), timeout_s, headers)

    async def replace(
        self, *, timeout_s: float | None = None, headers: Headers = (), **terms: Unpack[ReplaceOptions]
    ) -> Result:
        """Change a live order, and wait for the last word as `place` does."""
        return await self._ask(replace_order(**terms), timeout_s, headers)

    async def cancel(
        self, *, timeout_s: float | None = None, headers: Headers = (), **terms: Unpack[CancelOptions]
    ) -> Result:
        """Cancel an order, and wait for the last word as `place` does."""
        return await self._ask(cancel_order(**terms), timeout_s, headers)

    async def cancel_all(
        self,
        exchange_type: Scope,
        *,
        timeout_s: float | None = None,
        headers: Headers = (),
        **terms: Unpack[CommandOptions],
    ) -> Result:
        """Cancel every order of an exchange, or of ALL, and wait for the last word as `place` does."""
        return await self._ask(cancel_orders(exchange_type, **terms), timeout_s, headers)

    async def submit(self, command: Command, *, headers: Headers = ()) -> CommandHandle:
        """Append a command and return as soon as the broker has it, to follow it from there.

        Submits are appended in the order of the calls. A command that was submitted before, by whomever, is answered
        with its first outcome and not carried out twice.
        Raises NotSent when it surely is not on the topic, and NotAnswered when the broker did not confirm it.
        """
        if self._closed is not None:
            raise NotSent(command, self._closed)
        submitted = CommandHandle(command)
        self._waiting.setdefault(command.command_id, []).append(submitted)
        try:
            submitted.on_appended(await self._writer.append(command, msgspec.json.encode(command), headers))
        except BaseException:
            self._forget(submitted)
            raise
        self._forget_over(submitted)
        return submitted

    async def _ask(self, command: Command, timeout_s: float | None, headers: Headers) -> Result:
        submitted: CommandHandle | None = None
        try:
            async with asyncio.timeout(timeout_s):
                submitted = await self.submit(command, headers=headers)
                return await submitted.result()
        except TimeoutError:
            why = f"after {timeout_s:g} s"
            if submitted is None:
                raise NotAnswered(command, f"{why}; its record was not confirmed") from None
            raise submitted.not_answered(why) from None

    async def _begin_reading(self) -> None:
        """Read the end of `results` for its epoch before the first command goes out, then both topics for ever.

        So every answer to a command of this client, and every takeover since its append, is read.
        """
        caught_up = asyncio.Event()
        self._reading = asyncio.create_task(self._read(caught_up), name=f"answers from {self._results.topic}")
        waiting = asyncio.create_task(caught_up.wait())
        try:
            await asyncio.wait({self._reading, waiting}, timeout=_START_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if not caught_up.is_set() or self._reading.done():
            why = self._closed if self._reading.done() else f"no end of it within {_START_S:g} s"
            raise Unreachable(f"{self._results.topic} cannot be read: {why}")

    async def _read(self, caught_up: asyncio.Event) -> None:
        try:
            end = (await self._reader.start({self._results: LOOK_BACK_RECORDS}))[self._results]
            while True:
                if self._reader.position(self._results) >= end:
                    caught_up.set()
                found = await self._reader.read()
                for record in found.get(self._results, ()):
                    self._hear_result(record)
                for record in found.get(self._letters, ()):
                    self._hear_letter(record)
                await asyncio.sleep(0)  # a long past must not hold up the caller's other tasks
        except Exception as error:  # noqa: BLE001 - whatever it was, nobody is to wait for an answer any more
            self._end(f"its answers cannot be read: {words(error)}")

    def _hear_result(self, record: ConsumerRecord) -> None:
        headers = dict(record.headers)
        epoch = names.parse_epoch(headers.get(names.EPOCH))
        if epoch < self._epoch:
            return  # void: the producer of an owner that was put out was still flushing
        self._epoch = epoch
        if headers.get(names.TYPE) != names.EVENT_TYPES[Stream.RESULTS]:
            return
        for submitted in self._asked(record):
            try:
                result = _decode_result(record.value or b"")
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                submitted.fail(submitted.not_answered(f"its result cannot be read: {error}"))
            else:
                submitted.on_answer(result.command_offset, result, headers)
            self._forget_over(submitted)

    def _hear_letter(self, record: ConsumerRecord) -> None:
        headers = dict(record.headers)
        reason, message = (_text(headers.get(name)) for name in (names.ERROR_CODE, names.ERROR_MESSAGE))
        for submitted in self._asked(record):
            refused = CommandRefused(submitted.command, reason, message)
            submitted.on_answer(names.parse_number(headers.get(names.ERROR_OFFSET)), refused, headers)
            self._forget_over(submitted)

    def _asked(self, record: ConsumerRecord) -> list[CommandHandle]:
        """Return who waits for the commandId that is the key; a dead letter keeps the key of its command."""
        return list(self._waiting.get(_text(record.key), ()))

    def _forget_over(self, submitted: CommandHandle) -> None:
        if submitted.over:
            self._forget(submitted)

    def _forget(self, submitted: CommandHandle) -> None:
        left = [one for one in self._waiting.pop(submitted.command_id, ()) if one is not submitted]
        if left:
            self._waiting[submitted.command_id] = left

    def _end(self, why: str) -> None:
        self._closed = why
        for submitted in [one for asked in self._waiting.values() for one in asked]:
            submitted.fail(submitted.not_answered(why))
        self._waiting.clear()


def _text(content: bytes | None) -> str:
    return (content or b"").decode("utf-8", "replace")
