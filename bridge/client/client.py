"""The client: it writes commands, and gives each answer to the caller of its command."""

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
from bridge.client.writer import CommandWriter, describe_error
from bridge.contract import headers as names
from bridge.contract.commands import Command, Scope
from bridge.contract.headers import Headers
from bridge.contract.results import Result
from bridge.contract.topics import Stream, topic_name

LOOK_BACK_RECORDS: Final = 10_000
"""How many records before the end of `results` are read first, to learn the highest epoch.

An answer is void if a record of a higher epoch stands before it, perhaps from before this client started. The last
record does not show the highest epoch, because it may be void itself. A period of time does not show it either: a
frozen owner may wake days after it lost the account, on a topic without newer records. What counts is how many records
such an owner can still write after the last record of its successor: answers to what it had in flight (1,200 places and
replaces by default, and the cancels of a minute), and what its publisher held. So among this many records at least one
is not void. Reading them takes a fraction of a second.
"""

_START_S: Final = 10.0
_REQUEST_MS: Final = 3000
_decode_result = msgspec.json.Decoder(Result).decode


class Client:
    """A client that trades one account over its topics, inside an `async with` block.

    `options` go to aiokafka's producer and consumer: `security_protocol`, `ssl_context`, `sasl_mechanism`,
    `sasl_plain_username`, `sasl_plain_password`, `client_id` and the like. The client needs the right to write
    `commands` and to read `results` and `dead-letters`; it uses no consumer group. When the broker does not
    acknowledge the record of a command within `append_timeout_s`, the client stops trying to append it.
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
        self._dead_letters = TopicPartition(topic_name(prefix, account, Stream.DEAD_LETTERS), 0)
        self._writer = CommandWriter(topic_name(prefix, account, Stream.COMMANDS), self._options, append_timeout_s)
        self._waiting: dict[str, list[CommandHandle]] = {}
        self._epoch = -1
        self._closed_because: str | None = "it is not open: use `async with`"
        self._reading: asyncio.Task[None] | None = None
        self._reader = AnswerReader(self._options, (self._results, self._dead_letters))

    async def __aenter__(self) -> Self:
        try:
            await self._writer.start()
            await self._begin_reading()
        except BaseException:
            await self.__aexit__()
            raise
        self._closed_because = None
        return self

    async def __aexit__(self, *_: object) -> None:
        self._end_waiting("the client was closed")
        await self._writer.close()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading})
            await self._reader.close()

    async def place(
        self, *, timeout_s: float | None = None, headers: Headers = (), **options: Unpack[PlaceOptions]
    ) -> Result:
        """Place an order and return its terminal result, which may also be `denied` or `rejected`.

        Raises BadCommand or NotSent when nothing was sent, NotAnswered when the time runs out (the order may be live),
        and CommandRefused when the command becomes a dead letter. `headers` are the headers of the record.
        """
        return await self._submit_and_wait(place_order(**options), timeout_s, headers)

    async def replace(
        self, *, timeout_s: float | None = None, headers: Headers = (), **options: Unpack[ReplaceOptions]
    ) -> Result:
        """Change a live order and return the terminal result. Raises as `place` does."""
        return await self._submit_and_wait(replace_order(**options), timeout_s, headers)

    async def cancel(
        self, *, timeout_s: float | None = None, headers: Headers = (), **options: Unpack[CancelOptions]
    ) -> Result:
        """Cancel an order and return the terminal result. Raises as `place` does."""
        return await self._submit_and_wait(cancel_order(**options), timeout_s, headers)

    async def cancel_all(
        self,
        exchange_type: Scope,
        *,
        timeout_s: float | None = None,
        headers: Headers = (),
        **options: Unpack[CommandOptions],
    ) -> Result:
        """Cancel every order of an exchange, or of ALL, and return the terminal result. Raises as `place` does."""
        return await self._submit_and_wait(cancel_orders(exchange_type, **options), timeout_s, headers)

    async def submit(self, command: Command, *, headers: Headers = ()) -> CommandHandle:
        """Append a command and return its handle as soon as the broker has it.

        Submits are appended in the order of the calls. A command that any process submitted before
        gets its first outcome again and is not carried out twice.
        Raises NotSent when the command is certainly not on the topic, and NotAnswered when no confirmation came.
        """
        if self._closed_because is not None:
            raise NotSent(command, self._closed_because)
        handle = CommandHandle(command)
        self._waiting.setdefault(command.command_id, []).append(handle)
        try:
            handle.on_appended(await self._writer.append(command, msgspec.json.encode(command), headers))
        except BaseException:
            self._forget_handle(handle)
            raise
        self._forget_if_over(handle)
        return handle

    async def _submit_and_wait(self, command: Command, timeout_s: float | None, headers: Headers) -> Result:
        handle: CommandHandle | None = None
        try:
            async with asyncio.timeout(timeout_s):
                handle = await self.submit(command, headers=headers)
                return await handle.result()
        except TimeoutError:
            why = f"after {timeout_s:g} s"
            if handle is None:
                raise NotAnswered(command, f"{why}; its record was not confirmed") from None
            raise handle.not_answered(why) from None

    async def _begin_reading(self) -> None:
        """Start reading: first the end of `results`, for the highest epoch, then both topics until the client closes.

        Commands go out only after that first part. So the client reads every answer to its commands, and every
        takeover since their append. Raises Unreachable.
        """
        caught_up = asyncio.Event()
        self._reading = asyncio.create_task(self._read(caught_up), name=f"answers from {self._results.topic}")
        waiting = asyncio.create_task(caught_up.wait())
        try:
            await asyncio.wait({self._reading, waiting}, timeout=_START_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if not caught_up.is_set() or self._reading.done():
            why = self._closed_because if self._reading.done() else f"no end of it within {_START_S:g} s"
            raise Unreachable(f"{self._results.topic} cannot be read: {why}")

    async def _read(self, caught_up: asyncio.Event) -> None:
        try:
            end = (await self._reader.start({self._results: LOOK_BACK_RECORDS}))[self._results]
            while True:
                if self._reader.position(self._results) >= end:
                    caught_up.set()
                found = await self._reader.read()
                for record in found.get(self._results, ()):
                    self._on_result(record)
                for record in found.get(self._dead_letters, ()):
                    self._on_dead_letter(record)
                await asyncio.sleep(0)  # many records in a row must not delay the caller's other tasks
        except Exception as error:  # noqa: BLE001 - after any error no answer comes, so every wait must end
            self._end_waiting(f"its answers cannot be read: {describe_error(error)}")

    def _on_result(self, record: ConsumerRecord) -> None:
        headers = dict(record.headers)
        epoch = names.parse_epoch(headers.get(names.EPOCH))
        if epoch < self._epoch:
            return  # void: an owner that lost the account was still writing
        self._epoch = epoch
        if headers.get(names.TYPE) != names.EVENT_TYPES[Stream.RESULTS]:
            return
        for handle in self._waiting_for(record):
            try:
                result = _decode_result(record.value or b"")
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                handle.fail(handle.not_answered(f"its result cannot be read: {error}"))
            else:
                handle.on_answer(result.command_offset, result, headers)
            self._forget_if_over(handle)

    def _on_dead_letter(self, record: ConsumerRecord) -> None:
        headers = dict(record.headers)
        reason, message = (_decode_text(headers.get(name)) for name in (names.ERROR_CODE, names.ERROR_MESSAGE))
        for handle in self._waiting_for(record):
            refused = CommandRefused(handle.command, reason, message)
            handle.on_answer(names.parse_number(headers.get(names.ERROR_OFFSET)), refused, headers)
            self._forget_if_over(handle)

    def _waiting_for(self, record: ConsumerRecord) -> list[CommandHandle]:
        """Return the handles that wait for the commandId in the key; a dead letter keeps the key of its command."""
        return list(self._waiting.get(_decode_text(record.key), ()))

    def _forget_if_over(self, handle: CommandHandle) -> None:
        if handle.over:
            self._forget_handle(handle)

    def _forget_handle(self, handle: CommandHandle) -> None:
        left = [one for one in self._waiting.pop(handle.command_id, ()) if one is not handle]
        if left:
            self._waiting[handle.command_id] = left

    def _end_waiting(self, why: str) -> None:
        self._closed_because = why
        for handle in [one for asked in self._waiting.values() for one in asked]:
            handle.fail(handle.not_answered(why))
        self._waiting.clear()


def _decode_text(content: bytes | None) -> str:
    return (content or b"").decode("utf-8", "replace")
