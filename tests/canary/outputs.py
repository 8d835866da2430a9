"""What a test run puts out: kept in a file, and searched at its end, when every secret is known."""

import tempfile
from collections import Counter
from typing import Final, NamedTuple

from tests.canary.secrets import Search

_OVERLAP_BYTES: Final = 512
"""More than a secret has: it may come in two parts."""


class _Chunk(NamedTuple):
    where: str
    test: str
    size: int


class Hit(NamedTuple):
    """A secret in an output: where, of which test, and of which kind it is. It is not shown."""

    where: str
    test: str
    kind: str


class Outputs:
    """Everything that was put out, by where it went."""

    def __init__(self) -> None:
        self.test = "outside of a test"
        self.bytes: Counter[str] = Counter()
        self._chunks: list[_Chunk] = []
        self._ends: dict[object, bytes] = {}
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the run

    def add(self, where: str, output: bytes | str, source: object = None) -> None:
        """Keep an output. `source` is the stream of which it is the next part, where it is of one."""
        data = output.encode("utf-8", "surrogatepass") if isinstance(output, str) else bytes(output)
        self.bytes[where] += len(data)
        if source is not None:
            data = self._ends.get(source, b"") + data
            self._ends[source] = data[-_OVERLAP_BYTES:]
        if data:
            self._file.write(data)
            self._chunks.append(_Chunk(where, self.test, len(data)))

    def find(self, search: Search) -> list[Hit]:
        """Return where secrets stand, each place once; nothing more can be added then."""
        self._file.seek(0)
        hits: dict[Hit, None] = {}
        for chunk in self._chunks:
            for kind in search.find(self._file.read(chunk.size)):
                hits[Hit(chunk.where, chunk.test, kind)] = None
        self._file.close()
        return list(hits)
