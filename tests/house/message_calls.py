"""Run a daemon and record which of its functions handle a message: `message_calls.py TREE OUT run --config FILE`.

This runs as a process of its own, with the package of the tree TREE, started as its command line starts it. A message
is known by its content: by a number that stands in it and in nothing else, from the moment that a library hands it to
the package until the package hands it to a library. So nothing here names a class or function of the package; of
libraries it binds to aiohttp's `receive` and `send_frame`, and to aiokafka's `BatchBuilder.append`.

A call *handles* a message if an argument or the result has its number, in a text or in a field or element down to a
few levels, or if it called one that does. Beside the number the id of the request that carries a command and the
offset of the command count as names of it. What a service keeps in its containers does not count, else every method of
it would. A call that runs inside one that has the message as an argument or result *helps*. Everything else that
happens to run at the same time, as ticks and heartbeats, is left out.

OUT is written at the end: a list of {"way", "message", "calls": [[file, function, "handles" or "helps"]]}.
"""

import dataclasses
import json
import re
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final

PUSH_PREFIX: Final = "90909090"
PLACE_PREFIX: Final = "80808080"
FIRST_OFFSET: Final = 1000
"""The offset of the first place, so that offsets are numbers which hardly stand for anything else."""
_NUMBER: Final = re.compile(rf"(?:{PUSH_PREFIX}|{PLACE_PREFIX})[0-9]{{8}}")
SEEN: Final = "seen"
"""The package has had its text in hand for the first time."""
RECEIVED: Final = "received"
WRITTEN: Final = "written"
APPENDED: Final = "appended"
_DEPTH_MAX: Final = 4
_ELEMENTS_MAX: Final = 100


def place_number(index: int) -> str:
    """Return the number of a place; its record stands at so many offsets after FIRST_OFFSET."""
    return f"{PLACE_PREFIX}{index:08d}"


def push_number(index: int) -> str:
    """Return the number of a push."""
    return f"{PUSH_PREFIX}{index:08d}"


class Call:
    """One call, or one part of it between two waits."""

    __slots__ = ("began", "ended", "file", "function", "numbers", "parent")

    def __init__(self, file: str, function: str, began: int, parent: "Call | None", numbers: set[str]) -> None:
        self.file = file
        self.function = function
        self.began = began
        self.ended = 0
        self.parent = parent
        self.numbers = numbers


class Recorder:
    """Records the calls of the package that have to do with a message; the profile function of the main thread."""

    def __init__(self, package: Path) -> None:
        self._package = f"{package}/"
        self._files: dict[CodeType, str] = {}
        self._stack: list[Call] = []
        self._of_step: list[Call] = []
        self._steps: list[list[Call]] = []
        self._moment = 0
        self._synonyms: dict[str, str] = {}
        self.marks: dict[tuple[str, str], int] = {}
        """When something happened to a message for the first time, in calls of the package."""

    def __call__(self, frame: FrameType, event: str, value: object) -> None:
        """Take a profile event of the interpreter."""
        if event not in {"call", "return"}:
            return
        file = self._file_of(frame.f_code)
        if not file:
            return
        self._moment += 1
        if event == "call":
            parent = self._stack[-1] if self._stack else None
            call = Call(file, frame.f_code.co_qualname, self._moment, parent, self._numbers_in_arguments(frame))
            self._stack.append(call)
            self._of_step.append(call)
        elif self._stack:
            call = self._stack.pop()
            call.ended = self._moment
            call.numbers = call.numbers | set(self._numbers_in(value))
            if not self._stack:
                if any(one.numbers for one in self._of_step):
                    self._steps.append(self._of_step)
                self._of_step = []

    def _file_of(self, code: CodeType) -> str:
        file = self._files.get(code)
        if file is None:
            below = code.co_filename.removeprefix(self._package)
            file = "" if below == code.co_filename or below.startswith("sandbox/") else below
            self._files[code] = file
        return file

    def mark(self, what: str, content: object) -> None:
        """Note that a message of this content has passed a library; the first time counts."""
        for number in self._numbers_in(content):
            self.marks.setdefault((what, number), self._moment)

    def learn_synonym(self, frame: bytes) -> None:
        """Learn the id of the request that carries a message: its answer has that, and need not have the number."""
        for number in _NUMBER.findall(frame.decode()):
            self._synonyms[str(json.loads(frame)["id"])] = number

    def _numbers_in_arguments(self, frame: FrameType) -> set[str]:
        code = frame.f_code
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        found = set[str]()
        for index, name in enumerate(names):
            argument = frame.f_locals.get(name)
            is_self = index == 0 and name == "self"
            found.update(self._numbers_in(argument, _DEPTH_MAX - 1 if is_self else 0, is_self=is_self))
        return found

    def _numbers_in(self, value: object, depth: int = 0, *, is_self: bool = False) -> Iterator[str]:
        if isinstance(value, str | bytes | bytearray | memoryview):
            for number in self._numbers_in_text(value if isinstance(value, str) else bytes(value).decode("latin-1")):
                self.marks.setdefault((SEEN, number), self._moment)
                yield number
        elif isinstance(value, int):
            if FIRST_OFFSET <= value < 2 * FIRST_OFFSET and not isinstance(value, bool):
                yield place_number(value - FIRST_OFFSET)
        elif depth < _DEPTH_MAX:
            for part in _parts_of(value, is_self=is_self):
                yield from self._numbers_in(part, depth + 1)

    def _numbers_in_text(self, text: str) -> Iterator[str]:
        yield from _NUMBER.findall(text)
        yield from (number for name, number in self._synonyms.items() if name in text)

    def ways(self) -> list[dict[str, Any]]:
        """Return the calls of each message on each of its ways."""
        told = []
        for way, (prefix, begins, ends) in _WAYS.items():
            for (what, number), moment in self.marks.items():
                until = self.marks.get((ends, number))
                if what == begins and until is not None and number.startswith(prefix):
                    told.append({"way": way, "message": number, "calls": self._calls(number, moment, until)})
        return told

    def _calls(self, number: str, begins: int, ends: int) -> list[tuple[str, str, str]]:
        calls: dict[tuple[str, str], str] = {}
        for step in self._steps:
            handling = {call for call in step if number in call.numbers and call.ended >= begins and call.began <= ends}
            callers = {call.parent for call in handling if call.parent is not None}
            for call in step:
                within = call.began <= ends and call.ended >= begins
                if call in handling or call in callers:
                    calls[call.file, call.function] = "handles"
                elif within and any(one in handling for one in _callers_of(call)):
                    calls.setdefault((call.file, call.function), "helps")
        return [(*where, how) for where, how in calls.items()]


_WAYS: Final = {
    "push": (PUSH_PREFIX, RECEIVED, APPENDED),
    "place": (PLACE_PREFIX, SEEN, WRITTEN),
    "ack": (PLACE_PREFIX, RECEIVED, APPENDED),
}
"""Which messages go it, and the marks between which it lies."""


def _callers_of(call: Call) -> Iterator[Call]:
    caller = call.parent
    while caller is not None:
        yield caller
        caller = caller.parent


def _parts_of(value: object, *, is_self: bool) -> Iterable[object]:
    """Return what a value consists of. Of a service, and of `self`, only the texts that stand in it count."""
    if isinstance(value, list | tuple | set | frozenset) or type(value).__name__ == "deque":
        return islice(iter(value), _ELEMENTS_MAX)  # type: ignore[call-overload] # a deque iterates too
    if isinstance(value, dict):
        return (part for pair in islice(value.items(), _ELEMENTS_MAX) for part in pair)
    fields = _fields_of(value)
    parts = [getattr(value, name, None) for name in fields]
    if is_self or not _is_value(value):
        return [part for part in parts if isinstance(part, str | bytes)]
    return parts


def _fields_of(value: object) -> Iterable[str]:
    kind = type(value)
    if isinstance(value, type):
        return ()
    if hasattr(kind, "__struct_fields__"):
        return tuple(kind.__struct_fields__)
    if dataclasses.is_dataclass(value):
        return [field.name for field in dataclasses.fields(value)]
    if not kind.__module__.startswith("bridge."):
        return ()
    slots = (vars(one).get("__slots__", ()) for one in kind.__mro__)
    return [*(name for names in slots if not isinstance(names, str) for name in names), *getattr(value, "__dict__", ())]


def _is_value(value: object) -> bool:
    """Whether a value is a record of fields: a Struct, a dataclass, or a class with slots alone."""
    is_record = hasattr(type(value), "__struct_fields__") or dataclasses.is_dataclass(value)
    return is_record or not hasattr(value, "__dict__")


def _watch_libraries(recorder: Recorder) -> None:
    """Let the recorder know what passes aiohttp and aiokafka."""
    from aiohttp import ClientWebSocketResponse  # noqa: PLC0415 - the path to the package is set before
    from aiohttp.http import WebSocketWriter  # noqa: PLC0415
    from aiokafka.producer.message_accumulator import BatchBuilder  # noqa: PLC0415

    receive, send_frame, append = ClientWebSocketResponse.receive, WebSocketWriter.send_frame, BatchBuilder.append

    async def receiving(self: Any, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - as the library's
        message = await receive(self, *args, **options)
        recorder.mark(RECEIVED, message.data)
        return message

    async def sending_frame(self: Any, message: Any, *args: Any, **options: Any) -> None:  # noqa: ANN401
        recorder.mark(WRITTEN, message)
        recorder.learn_synonym(bytes(message))
        await send_frame(self, message, *args, **options)

    def appending(self: Any, **options: Any) -> Any:  # noqa: ANN401
        recorder.mark(APPENDED, options.get("value"))
        return append(self, **options)

    ClientWebSocketResponse.receive = receiving  # type: ignore[method-assign]
    WebSocketWriter.send_frame = sending_frame  # type: ignore[method-assign]
    BatchBuilder.append = appending


def main() -> None:
    """Run the command line of the tree, and write down what was recorded when it ends."""
    tree, out = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    sys.path[0] = str(tree)  # in place of this file's folder
    sys.argv[1:] = sys.argv[3:]
    recorder = Recorder(tree / "bridge")
    _watch_libraries(recorder)
    from bridge.cli import main as run  # noqa: PLC0415 - of the tree

    sys.setprofile(recorder)
    try:
        run()
    finally:
        sys.setprofile(None)
        out.write_text(json.dumps(recorder.ways()), encoding="utf-8")


if __name__ == "__main__":
    main()
