"""Record headers as types, for the published schemas.

On the wire every header's value is UTF-8 text, but for those of callers that come back and are not `ce_*`: they are the
caller's bytes. Give a CloudEvents SDK `ce_*` and `content-type` alone.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

Echo = Annotated[
    str | None,
    Meta(
        description="The command's header, unchanged; absent where it was empty, over 1024 bytes or, in a `ce_*`, no "
        "String of CloudEvents."
    ),
]


class CommandHeaders(Struct):
    """Headers of a command that its results carry back; none is needed."""

    traceparent: Annotated[str | None, Meta(description="W3C Trace Context.")] = None
    tracestate: Annotated[str | None, Meta(description="W3C Trace Context.")] = None
    ce_traceparent: Annotated[str | None, Meta(description="CloudEvents Distributed Tracing.")] = None
    ce_tracestate: Annotated[str | None, Meta(description="CloudEvents Distributed Tracing.")] = None
    ce_correlationid: Annotated[str | None, Meta(description="A name of the caller's choice.")] = None
    correlation_id: Annotated[str | None, Meta(description="A name of the caller's choice.")] = None
    correlation_id_of_spring: Annotated[str | None, Meta(description="Spring's name of the request.")] = field(
        name="kafka_correlationId", default=None
    )


class EventHeaders(Struct):
    """CloudEvents 1.0 in binary mode, the CloudEvents sequence extension, and the bridge's own attributes."""

    ce_specversion: Literal["1.0"]
    ce_id: Annotated[
        str,
        Meta(
            min_length=1,
            description="Of a trade, an order's state, a result: names the fact, so that a push, the same push again "
            "and its REST row have one. Of everything else: names the record, and a repeat of the venue's has another. "
            "Drop repeats of trades by it; of a state the last record counts.",
        ),
    ]
    ce_source: Annotated[
        str,
        Meta(pattern=r"^/ltp/[^/]+/[^/]+$", description="Environment and account.", examples=["/ltp/production/main"]),
    ]
    ce_type: Annotated[str, Meta(pattern=r"^ltp\.[a-z-]+\.v[0-9]+$", description="What the record is.")]
    ce_time: Annotated[
        str,
        Meta(
            pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$",
            description="The venue's time of the fact, or the bridge's where it tells none; RFC 3339, in UTC.",
            extra_json_schema={"format": "date-time"},
        ),
    ]
    content_type: Annotated[
        Literal["application/json", "application/octet-stream"], Meta(description="What the value is.")
    ] = field(name="content-type")
    ce_sequence: Annotated[
        str,
        Meta(
            pattern=r"^[0-9]{20}$",
            description="Counts the records of this topic in this epoch from 1. A number that is left out is a record "
            "that was missed, or compacted or expired, or larger than its topic takes (alarm `record_too_large`).",
        ),
    ]
    ce_epoch: Annotated[
        str,
        Meta(
            pattern=r"^[0-9]+$",
            description="The owner's term. On `results`, `session` and topics that hold states, a record whose epoch "
            "is lower than one already read is void.",
        ),
    ]
    ce_subject: Annotated[
        str | None, Meta(description="The record's key; absent where it is empty, over 1024 bytes or no text.")
    ] = None
    ce_recovered: Annotated[
        Literal["true"] | None, Meta(description="Present where the record comes from the venue's REST.")
    ] = None


class ResultHeaders(EventHeaders):
    """The headers of an event, and those of the command that come back."""

    traceparent: Echo = None
    tracestate: Echo = None
    ce_traceparent: Echo = None
    ce_tracestate: Echo = None
    ce_correlationid: Echo = None
    correlation_id: Echo = None
    correlation_id_of_spring: Echo = field(name="kafka_correlationId", default=None)


class DeadLetterHeaders(ResultHeaders, kw_only=True):
    """The headers of a result, and why the record could not be answered, under Kafka Connect's names."""

    topic: Annotated[str, Meta(description="The topic of the command.")] = field(name="__connect.errors.topic")
    partition: Annotated[str, Meta(description="Its partition.")] = field(name="__connect.errors.partition")
    offset: Annotated[str, Meta(pattern=r"^[0-9]+$", description="Its offset.")] = field(name="__connect.errors.offset")
    stage: Annotated[str, Meta(description="Where it failed.")] = field(name="__connect.errors.stage")
    class_name: Annotated[str, Meta(description="The class of the failure.")] = field(
        name="__connect.errors.exception.class.name"
    )
    message: Annotated[str, Meta(description="What is wrong, for people.")] = field(
        name="__connect.errors.exception.message"
    )
    error_code: Annotated[str, Meta(description="What is wrong: a `reason` of the contract.")]
