"""How a daemon is made to die at a step: who is meant, whether it is due, and the end."""

import inspect
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.crash.plan import mark, read_target

_WANTED = "wanted."


class Death:
    """Knows what was meant to die here, and dies."""

    def __init__(self, marks: Path) -> None:
        self._marks = marks
        self.offsets: dict[int, str] = {}
        """The commands that kill, by offset."""
        self.requests: dict[str, str] = {}
        """The ids of their requests, as far as this process wrote them."""
        self.cancels: set[str] = set()
        """Those of them that are a cancel_order and reached a lane of this process."""
        self.begun: str | None = None
        """The last of them that is a cancel_orders which this process carries out by single cancels."""

    @staticmethod
    def is_target(command_id: object) -> bool:
        """Tell whether a command is one that kills."""
        return read_target(command_id) is not None

    def at(self, step: str, command_id: object) -> None:
        """Die if this step of this command is meant, and has not been died at."""
        if self.is_due(step, command_id):
            self.die(step, command_id)

    def is_due(self, step: str, command_id: object) -> bool:
        """Tell whether to die at this step of this command."""
        target = read_target(command_id)
        return target is not None and target[1] == step and not (self._marks / mark(target[0], step)).exists()

    def die(self, step: str, command_id: object) -> None:
        """Leave the mark, and die; the successor is told if it is to die too."""
        target = read_target(command_id)
        if target is None:
            return
        number, _, takeover = target
        if takeover is not None:
            (self._marks / f"{_WANTED}{takeover}").write_text(str(number))
        self._leave(number, step)

    def in_takeover(self, step: str) -> None:
        """Die if somebody who died before has asked for it at this step."""
        wanted = self._marks / f"{_WANTED}{step}"
        try:
            number = int(wanted.read_text())
            wanted.unlink()
        except (FileNotFoundError, ValueError):
            return
        self._leave(number, step)

    def _leave(self, number: int, step: str) -> None:
        try:
            with (self._marks / mark(number, step)).open("x") as out:
                out.write(str(os.getpid()))
        except FileExistsError:
            return
        os.kill(os.getpid(), signal.SIGKILL)


Look = Callable[..., None]


def wrap(owner: Any, name: str, *, before: Look | None = None, after: Look | None = None) -> None:  # noqa: ANN401
    """Let `before` see the arguments of a call, and `after` its result and then the arguments; change nothing."""
    original = getattr(owner, name)

    async def later(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever the method takes and gives
        if before is not None:
            before(*args, **kwargs)
        result = await original(*args, **kwargs)
        if after is not None:
            after(result, *args, **kwargs)
        return result

    def at_once(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as above
        if before is not None:
            before(*args, **kwargs)
        result = original(*args, **kwargs)
        if after is not None:
            after(result, *args, **kwargs)
        return result

    setattr(owner, name, later if inspect.iscoroutinefunction(original) else at_once)


def command_id_of(value: bytes | None) -> object:
    """Read the commandId of a record's value; None when it has none."""
    try:
        body = json.loads(value or b"")
    except ValueError:
        return None
    return body.get("commandId") if isinstance(body, dict) else None
