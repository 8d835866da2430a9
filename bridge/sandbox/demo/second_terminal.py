"""What a second terminal needs to join a running daemon: addresses, and commands that work when they are copied."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

_EXAMPLE: Final = Path("examples/python/desk.py")
_CONTINUATION: Final = " \\"
_INDENT: Final = "  "


class SecondTerminal(msgspec.Struct, frozen=True, kw_only=True):
    """The addresses of a running daemon, the path of its settings, and the account that the commands are for."""

    page_url: str
    bootstrap_servers: str
    topic_prefix: str
    account: str
    is_only_account: bool
    config: Path
    streams: tuple[str, ...] = ("trades",)
    """What the first command follows."""

    @property
    def commands(self) -> list[Sequence[str]]:
        """The commands as words for a shell: one that follows topics, and one that places and cancels an order.

        The second one is an example of the project's folder, and is missing where that is not the working directory.
        """
        account = () if self.is_only_account else ("--account", self.account)
        tail = (*_name_program(), "tail", *self.streams, *account, "--config", str(self.config))
        if not _EXAMPLE.is_file():
            return [_quote_words(tail)]
        given = {"KAFKA_BOOTSTRAP_SERVERS": self.bootstrap_servers}
        if self.topic_prefix != "ltp":
            given["LTP_PREFIX"] = self.topic_prefix
        if self.account != "main":
            given["LTP_ACCOUNT"] = self.account
        variables = [f"{name}={shlex.quote(value)}" for name, value in given.items()]
        return [_quote_words(tail), [*variables, *_quote_words((_find_python(), str(_EXAMPLE)))]]

    def describe(self) -> list[str]:
        """Return the lines to print."""
        return [
            f"status page  {self.page_url}",
            f"broker       {self.bootstrap_servers}, topics {self.topic_prefix}.{self.account}.*",
            self.caption,
            *(f"{_INDENT}{' '.join(words)}" for words in self.commands),
        ]

    @property
    def caption(self) -> str:
        """What the commands do, and where they work."""
        order = "; place an order and cancel it" if len(self.commands) > 1 else ""
        return f"In a second terminal, in this folder, see {' and '.join(self.streams)}{order}:"

    def wrap_commands(self, width: int) -> list[str]:
        """Return the commands in lines of at most this width, where no word is longer.

        A command that goes on in the next line has a backslash at the end, so that a shell takes all of it as one.
        """
        return [line for words in self.commands for line in _wrap_command(words, width)]


def _wrap_command(words: Sequence[str], width: int) -> list[str]:
    lines = [_INDENT + words[0]]
    for number, word in enumerate(words[1:], 2):
        room = width if number == len(words) else width - len(_CONTINUATION)
        if len(lines[-1]) + 1 + len(word) <= room:
            lines[-1] += f" {word}"
        else:
            lines[-1] += _CONTINUATION
            lines.append(f"{_INDENT * 2}{word}")
    return lines


def _name_program() -> Sequence[str]:
    """Return the words that start this program again."""
    started = Path(sys.argv[0])
    return (_find_python(), "-m", "bridge") if started.name == "__main__.py" else (_shorten_path(started),)


def _find_python() -> str:
    """Return the Python that has this program's packages: the one beside it, or else the one that runs it."""
    beside = Path(sys.argv[0]).with_name("python")
    return _shorten_path(beside if beside.is_file() else Path(sys.executable))


def _shorten_path(path: Path) -> str:
    """Return a path relative to the working directory if it is below it, or else absolute."""
    absolute = Path.cwd() / path
    return str(absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else absolute)


def _quote_words(words: Sequence[str]) -> list[str]:
    return [shlex.quote(word) for word in words]
