"""Which headers of a command its answers carry back."""

import unicodedata

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary_event
from cloudevents.core.formats.json import JSONFormat
from hypothesis import given
from hypothesis import strategies as st

from bridge.contract.headers import (
    CORRELATION_HEADERS,
    EVENT_TYPES,
    HEADER_BYTES_MAX,
    Headers,
    build_event_headers,
    format_source,
    select_correlation_headers,
)
from bridge.contract.topics import Stream

TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
EXTENSIONS = sorted(name for name in CORRELATION_HEADERS if name.startswith("ce_"))
BARE = sorted(CORRELATION_HEADERS - set(EXTENSIONS))

_text = st.text(max_size=20).map(lambda text: text.encode("utf-8", "replace"))
_content = st.binary(max_size=40) | _text
# The SDK reads every header as UTF-8, be it an attribute or not; a bare one that is none it could not pass over.
_readable = st.tuples(st.sampled_from(EXTENSIONS), _content) | st.tuples(st.sampled_from(BARE), _text)


def _answer(echoed: Headers) -> list[tuple[str, bytes]]:
    """Return the headers of a result that carries these headers back."""
    own = build_event_headers(
        event_id="result:c",
        event_source=format_source("test", "main"),
        event_type=EVENT_TYPES[Stream.RESULTS],
        time_ms=1_795_164_156_032,
        subject=b"c",
        epoch=1,
        sequence=1,
    )
    return [*own, *echoed]


@given(st.lists(_readable))
def test_an_answer_is_a_cloud_event_with_any_headers_of_the_command(asked: list[tuple[str, bytes]]) -> None:
    """The SDK reads every CloudEvents header that is carried back as a text attribute with the original value."""
    echoed = select_correlation_headers(asked)
    headers = dict(_answer(echoed))
    event = from_binary_event(KafkaMessage(headers=headers, key=b"c", value=b"{}"), JSONFormat())
    for name, content in echoed:
        if name in BARE:
            continue
        text = event.get_extension(name.removeprefix("ce_"))
        assert text.encode() == content
        assert not any(unicodedata.category(one) == "Cc" for one in text)


@given(st.lists(st.tuples(st.sampled_from([*sorted(CORRELATION_HEADERS), "private"]), _content)))
def test_the_first_valid_header_of_each_name_is_carried_back(asked: list[tuple[str, bytes]]) -> None:
    """Each name comes back once with the original bytes; nothing is added, and nothing else is carried back."""
    echoed = select_correlation_headers(asked)
    assert len(dict(echoed)) == len(echoed)
    assert set(echoed) <= set(asked)
    for name in BARE:
        first = next((content for other, content in asked if other == name and content), None)
        assert dict(echoed).get(name) == first


@pytest.mark.parametrize("content", [b"", b"\xff", b"a\nb", b"\x00", b"\x7f", "\x85", "\ufffe", "\ufdd0", "\U0010ffff"])
def test_invalid_text_becomes_no_attribute(content: bytes | str) -> None:
    """CloudEvents headers with control characters or noncharacters are left out; plain headers are only bytes."""
    raw = content.encode() if isinstance(content, str) else content
    assert select_correlation_headers([("ce_traceparent", raw)]) == []
    assert select_correlation_headers([("kafka_correlationId", raw)]) == ([("kafka_correlationId", raw)] if raw else [])


@pytest.mark.parametrize("name", sorted(CORRELATION_HEADERS))
def test_a_header_may_be_a_kibibyte_long(name: str) -> None:
    """A header that is one byte longer is not carried back."""
    assert select_correlation_headers([(name, b"x" * HEADER_BYTES_MAX)]) == [(name, b"x" * HEADER_BYTES_MAX)]
    assert select_correlation_headers([(name, b"x" * (HEADER_BYTES_MAX + 1))]) == []


def test_trace_context_comes_back_under_the_same_names() -> None:
    """Trace context comes back as plain headers, as CloudEvents attributes, or both."""
    bare = [("traceparent", TRACE), ("tracestate", b"desk=7")]
    extension = [(f"ce_{name}", content) for name, content in bare]
    for asked in (bare, extension, [*bare, *extension]):
        assert select_correlation_headers(asked) == asked
