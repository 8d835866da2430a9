"""What stands on the state topics: of every key the newest state, which its last record there must be."""

from itertools import islice
from typing import Final

import msgspec
from msgspec import Struct

from bridge.contract.topics import STATE_STREAMS, Stream
from bridge.core.element import NOWHERE, Element

_OVER_REMEMBERED_MAX: Final = 20_000
_NAMES_REMEMBERED_MAX: Final = 200_000
_REFRESH_SHARE: Final = 0.8
"""Of the horizon: so much before its end a state is published again."""
_REFRESHED_AT_ONCE: Final = 200
_WITHOUT_TIME: Final = 2
"""So much of a progress needs no time: that an order is over, and what was executed."""


class Stood(Struct, frozen=True):
    """The newest state of one key. `published_ms` is when it last went to its topic.

    `told_ms` is from when on the venue's every word knows it: when it was first published, and what was missed, when
    it happened.
    """

    element: Element
    published_ms: int
    told_ms: int
    recovered: bool


class Standing:
    """The newest states; orders that are over are kept too, the oldest forgotten first but for their names."""

    def __init__(self, horizon_s: float) -> None:
        self._refresh_ms = int(horizon_s * 1000 * _REFRESH_SHARE)
        # Those that were published longest ago come first.
        self._live: dict[Stream, dict[str, Stood]] = {stream: {} for stream in STATE_STREAMS}
        self._over: dict[str, Stood] = {}
        self._forgotten: dict[str, None] = {}
        """Orders whose end was published, and nothing else is known of."""

    def take(self, element: Element, now_ms: int, *, recovered: bool = False) -> Stood | None:
        """Let a state that is published now stand, unless a newer one does; return that, to be published again."""
        live = self._live[element.stream]
        known = live.pop(element.key, None) or self._over.get(element.key)
        if known is not None and _is_older(element, known.element):
            self._stand(msgspec.structs.replace(known, published_ms=now_ms))
            return known
        told_ms = element.time_ms if recovered and element.time_ms else now_ms
        self._stand(Stood(element, now_ms, told_ms, recovered))
        return None

    def remember(self, element: Element, published_ms: int) -> None:
        """Let a state stand that an earlier owner published, the earlier ones first."""
        self._live[element.stream].pop(element.key, None)
        self._stand(Stood(element, published_ms, published_ms, recovered=False))

    def forget(self, stream: Stream, key: str) -> None:
        """Let nothing of a key stand: its last record is a tombstone."""
        self._live[stream].pop(key, None)

    def is_news(self, element: Element) -> bool:
        """Whether a state that REST tells is newer than what stands."""
        known = self._known(element)
        if known is None:
            return element.stream is not Stream.ORDERS or element.key not in self._forgotten
        return _is_newer(element, known.element)

    def says_otherwise(self, element: Element) -> bool:
        """Whether a state means something else to a reader than what stands; a price may move what it says besides."""
        known = self._live[element.stream].get(element.key)
        return not element.empty if known is None else element.meaning != known.element.meaning

    def is_dated(self, element: Element) -> bool:
        """Whether times tell that a row of REST is not from before what stands."""
        known = self._live[element.stream].get(element.key)
        return bool(element.time_ms and (known is None or known.element.time_ms))

    def told_ms(self, element: Element) -> int:
        """Return since when what stands under the key of an element is known; 0 when nothing does."""
        known = self._known(element)
        return known.told_ms if known is not None else 0

    def stands(self, element: Element) -> bool:
        """Whether anything stands under the key of an element."""
        return self._known(element) is not None

    def _known(self, element: Element) -> Stood | None:
        return self._live[element.stream].get(element.key) or self._over.get(element.key)

    def is_unattributed(self, key: str) -> bool:
        """Whether a balance of this coin was pushed without its exchange."""
        coin = key.partition(":")[2]
        return f"{NOWHERE}:{coin}" in self._live[Stream.ASSETS]

    def lacking(self, stream: Stream, listed: frozenset[str], before_ms: int) -> list[Element]:
        """Return what was told before a time, and is missing in a full list of the stream's keys."""
        return [
            stood.element
            for key, stood in self._live[stream].items()
            if key not in listed and stood.told_ms <= before_ms
        ]

    def due(self, now_ms: int) -> list[Stood]:
        """Return some of what has to be published again, because its last record is nearly one horizon old."""
        before_ms = now_ms - self._refresh_ms
        found = []
        for live in self._live.values():
            for stood in islice(live.values(), _REFRESHED_AT_ONCE):
                if stood.published_ms > before_ms:
                    break
                found.append(stood)
        for stood in found:
            del self._live[stood.element.stream][stood.element.key]
            self._stand(msgspec.structs.replace(stood, published_ms=now_ms))
        return found

    def _stand(self, stood: Stood) -> None:
        element = stood.element
        if element.progress.over:
            self._over[element.key] = stood
            if len(self._over) > _OVER_REMEMBERED_MAX:
                oldest = next(iter(self._over))
                del self._over[oldest]
                self._forgotten[oldest] = None
                if len(self._forgotten) > _NAMES_REMEMBERED_MAX:
                    del self._forgotten[next(iter(self._forgotten))]
        else:
            self._live[element.stream][element.key] = stood


def _is_newer(row: Element, other: Element) -> bool:
    """Whether a row of REST comes after another state. Where their times do not tell, it does if it differs."""
    compared = len(row.progress) if row.time_ms and other.time_ms else _WITHOUT_TIME
    here, there = row.progress[:compared], other.progress[:compared]
    return there < here or (there == here and row.meaning != other.meaning)


def _is_older(one: Element, other: Element) -> bool:
    """Whether a state came before another. One without a time is taken in the order of its arrival."""
    if not one.time_ms:
        return one.progress[:_WITHOUT_TIME] < other.progress[:_WITHOUT_TIME]
    return one.progress < other.progress
