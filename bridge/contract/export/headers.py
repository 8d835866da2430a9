"""Record headers as types, for the published schemas.

Every header's value is UTF-8 text, except for headers of callers that come back and are not `ce_*`: those are the
caller's bytes. Give a CloudEvents SDK only `ce_*` and `content-type`.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

Echo = Annotated[
    str | None,
    Meta(
        description="The command's header, unchanged; absent if it was empty, over 1024 bytes or, for a `ce_*`, not a "
        "CloudEvents String."
    ),
]


class CommandHeaders(Struct):
    """Headers of a command that its results carry back; all are optional."""

    traceparent: Annotated[str | None, Meta(description="W3C Trace Context.")] = None
    tracestate: Annotated[str | None, Meta(description="W3C Trace Context.")] = None
    ce_traceparent: Annotated[str | None, Meta(description="CloudEvents Distributed Tracing.")] = None
    ce_tracestate: Annotated[str | None, Meta(description="CloudEvents Distributed Tracing.")] = None
    ce_correlationid: Annotated[str | None, Meta(description="An id that the caller chooses.")] = None
    correlation_id: Annotated[str | None, Meta(description="An id that the caller chooses.")] = None
    correlation_id_of_spring: Annotated[str | None, Meta(description="Spring's id of the request.")] = field(
        name="kafka_correlationId", default=None
    )


class EventHeaders(Struct):
    """CloudEvents 1.0 headers in binary mode, the CloudEvents sequence extension, and attributes of the bridge."""

    ce_specversion: Literal["1.0"]
    ce_id: Annotated[
        str,
        Meta(
            min_length=1,
            description="For a trade, an order's state or a result: the id of the fact, so that a push, its repeat "
            "and its REST row have the same one. For all else: the id of the record, so that a repeat by the venue "
            "has another one. Drop repeats of trades by it; for a state the last record counts.",
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
            description="The venue's time of the fact, or the bridge's time if there is none; RFC 3339, in UTC.",
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
            description="Counts the records of this topic in this epoch from 1. A missing number is a record that was "
            "missed, compacted or expired, or that was larger than its topic allows (alarm `record_too_large`).",
        ),
    ]
    ce_epoch: Annotated[
        str,
        Meta(
            pattern=r"^[0-9]+$",
            description="The number of the owner's term. On `results`, `session` and the state topics, a record is "
            "void if its epoch is lower than one already read.",
        ),
    ]
    ce_subject: Annotated[
        str | None, Meta(description="The record's key; absent if it is empty, over 1024 bytes or not text.")
    ] = None
    ce_recovered: Annotated[
        Literal["true"] | None, Meta(description="Present if the record comes from the venue's REST.")
    ] = None


class ResultHeaders(EventHeaders):
    """The headers of an event, and the command's headers that come back."""

    traceparent: Echo = None
    tracestate: Echo = None
    ce_traceparent: Echo = None
    ce_tracestate: Echo = None
    ce_correlationid: Echo = None
    correlation_id: Echo = None
    correlation_id_of_spring: Echo = field(name="kafka_correlationId", default=None)


class DeadLetterHeaders(ResultHeaders, kw_only=True):
    """The headers of a result, and the error, under the names of Kafka Connect."""

    topic: Annotated[str, Meta(description="The topic of the command.")] = field(name="__connect.errors.topic")
    partition: Annotated[str, Meta(description="Its partition.")] = field(name="__connect.errors.partition")
    offset: Annotated[str, Meta(pattern=r"^[0-9]+$", description="Its offset.")] = field(name="__connect.errors.offset")
    stage: Annotated[str, Meta(description="The stage that failed.")] = field(name="__connect.errors.stage")
    class_name: Annotated[str, Meta(description="The class of the failure.")] = field(
        name="__connect.errors.exception.class.name"
    )
    message: Annotated[str, Meta(description="What is wrong: a text for people.")] = field(
        name="__connect.errors.exception.message"
    )
    error_code: Annotated[str, Meta(description="What is wrong: a `reason` of the contract.")]
