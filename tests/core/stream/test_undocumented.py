"""One alarm for each undocumented shape, with a sample that quotes nothing that the bridge sent."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.contract.export.pushes import DocumentedMarginCall
from bridge.contract.session import Alarm
from bridge.contract.topics import Stream
from bridge.core.records import InvalidFrame, OutgoingRecord, Push
from bridge.core.stream.undocumented import MARGIN_CALL_FIELDS, SHAPES_MAX, SHAPES_OF_ONE_CHANNEL_MAX
from tests.support.one_recovery import OneRecovery

CALL = {"exchangeType": "OKX", "accountStatus": "MARGIN_CALL", "equity": "1"}


class OddVenue:
    """An account, and the alarms that it raised for what it received."""

    def __init__(self) -> None:
        self.one = OneRecovery().begin()

    def push(self, channel: str, data: Any) -> list[OutgoingRecord]:  # noqa: ANN401 - any JSON
        """Push a frame; return the records but those of `session`."""
        raw = json.dumps(data).encode()
        frame = json.dumps({"channel": channel, "data": data}).encode()
        return self._take(Push(channel, raw, frame))

    def frame(self, frame: bytes) -> list[OutgoingRecord]:
        """Receive a frame that is no push."""
        return self._take(InvalidFrame(frame, "why"))

    def _take(self, event: Push | InvalidFrame) -> list[OutgoingRecord]:
        self.one.account.on_frame(event, self.one.now)
        return [record for record in self.one._collect() if record.stream is not Stream.SESSION]

    @property
    def alarms(self) -> list[dict[str, Any]]:
        """Return the alarms so far."""
        return [event for event in self.one.events("alarm.raised") if event["alarm"] == Alarm.UNDOCUMENTED.value]


def test_a_shape_raises_one_alarm_with_a_sample() -> None:
    """With any values; every frame is on `unrecognized`. One more field, or another type, is another shape."""
    venue = OddVenue()
    for value in ("1.5", "2.5", "x"):
        (record,) = venue.push("Accounts", {"equity": value, "note": "maintenance"})
        assert record.stream is Stream.UNRECOGNIZED
    (alarm,) = venue.alarms
    assert alarm["subject"].startswith("Accounts ")
    assert '{channel:"Accounts",data:{equity:"1.5",note:"…",},}' in alarm["detail"]
    venue.push("Accounts", {"equity": 1.5, "note": "maintenance"})
    venue.push("Accounts", {"equity": "1.5"})
    assert len({alarm["subject"] for alarm in venue.alarms}) == 3


def test_a_sample_quotes_nothing_that_the_bridge_sent() -> None:
    """A peer that echoes the login, in whatever form, brings no key onto `session`."""
    venue = OddVenue()
    key, sign = "hf83hTQrk2LmPz", "7e9c416228e1489e134b2699594f6564"
    login = {"action": "login", "args": {"apiKey": key, "sign": sign, "timestamp": "1538054050", "apiToken": "12345"}}
    venue.frame(json.dumps(login).encode())
    venue.frame(f"GET /?apiKey={key}&sign={sign}".encode())
    venue.push(key, {sign: key, "passphrase": 12345, "list": [{"words": [[[key]]]}]})
    assert len(venue.alarms) == 3
    for secret in (key, sign, "12345,", '"12345"'):
        assert not any(secret in json.dumps(alarm, ensure_ascii=False) for alarm in venue.alarms)
    assert 'action:"login"' in venue.alarms[0]["detail"]
    assert 'timestamp:"1538054050"' in venue.alarms[0]["detail"]


def test_a_known_channel_with_an_odd_item_raises_an_alarm_too() -> None:
    """The item is published as documented, with an alarm."""
    venue = OddVenue()
    order = {"orderId": "17", "orderState": "OPEN", "clientOrderId": 7}
    assert [record.stream for record in venue.push("Orders", order)] == [Stream.ORDERS, Stream.UNRECOGNIZED]
    venue.push("Orders", order | {"clientOrderId": 8})
    assert len(venue.alarms) == 1


def test_the_alarms_for_shapes_are_limited() -> None:
    """Of one channel, and of all: a venue that makes up names fills neither `session` nor the memory."""
    venue = OddVenue()
    for n in range(20):
        venue.push("Accounts", {f"field{n}": 1})
    assert len(venue.alarms) == SHAPES_OF_ONE_CHANNEL_MAX
    for n in range(20):
        venue.push("MarginCall", CALL | {f"field{n}": 1})
    assert len(venue.alarms) == 2 * SHAPES_OF_ONE_CHANNEL_MAX
    for n in range(200):
        venue.push("".join(chr(97 + int(digit)) for digit in str(n)), {"a": 1})
    assert len(venue.alarms) == SHAPES_MAX


@pytest.mark.parametrize(
    "frame", [b"", b"\xff\xfe", b"<html>", b"[" * 100_000, b"[" * 5000 + b"]" * 5000, b'{"n":' + b"9" * 5000 + b"}"]
)
def test_any_frame_raises_an_alarm(frame: bytes) -> None:
    """Nothing raises an exception, and the detail is short."""
    venue = OddVenue()
    venue.frame(frame)
    (alarm,) = venue.alarms
    assert len(alarm["detail"]) < 2000


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=20,
)


@given(st.text(max_size=9), _json)
def test_arbitrary_pushes_raise_an_alarm(channel: str, data: object) -> None:
    """Nothing raises, and one alarm comes for what is on `unrecognized`."""
    venue = OddVenue()
    unrecognized = [record for record in venue.push(f"?{channel}", data) if record.stream is Stream.UNRECOGNIZED]
    assert len(venue.alarms) == len(unrecognized) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"accountStatus": "TAKEN_OVER"}, "a new accountStatus TAKEN_OVER"),
        ({"accountStatus": None}, "no accountStatus"),
        ({"accountStatus": "7f3a"}, "a new accountStatus …"),
        ({"exchangeType": None}, "no exchangeType"),
        ({"hairCut": "0.5"}, "a new field hairCut"),
    ],
)
def test_a_margin_call_with_something_new_raises_an_alarm(change: dict[str, str | None], said: str) -> None:
    """It is published as it came; the alarm comes once."""
    venue = OddVenue()
    for _ in range(2):
        (record,) = venue.push("MarginCall", CALL | change)
        assert (record.stream, json.loads(record.value or b"")) == (Stream.MARGIN_CALLS, CALL | change)
    (alarm,) = venue.alarms
    assert alarm["detail"].startswith(f"a margin call has {said}; such as ")


@pytest.mark.parametrize("status", ["NORMAL", " margin_call", "LIQUIDATION", "TAKEOVER"])
def test_a_documented_margin_call_is_no_alarm(status: str) -> None:
    """In any case, with every documented field."""
    venue = OddVenue()
    venue.push("MarginCall", dict.fromkeys(MARGIN_CALL_FIELDS, "1") | {"accountStatus": status})
    assert venue.alarms == []


def test_a_risk_of_rest_is_checked_by_the_same_list() -> None:
    """What is published in place of a margin call is checked like one."""
    venue = OddVenue()
    venue.one.sweep(risks=[CALL, CALL | {"accountStatus": "FROZEN"}])
    (alarm,) = venue.alarms
    assert "a new accountStatus FROZEN" in alarm["detail"]


def test_every_field_that_is_published_as_documented_is_known() -> None:
    """The schemas and the alarm go by one list."""
    assert {field.encode_name for field in msgspec.structs.fields(DocumentedMarginCall)} <= MARGIN_CALL_FIELDS
