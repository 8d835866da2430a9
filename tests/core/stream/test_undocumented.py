"""What nobody documented is told once for each shape, with a sample that quotes nothing that we said."""

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


class Told:
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
        """Return what was told."""
        return [event for event in self.one.events("alarm.raised") if event["alarm"] == Alarm.UNDOCUMENTED.value]


def test_a_shape_is_told_once_with_a_sample() -> None:
    """Whatever its values are; every frame is on `unrecognized`. A field more, or of another type, is another shape."""
    told = Told()
    for value in ("1.5", "2.5", "x"):
        (record,) = told.push("Accounts", {"equity": value, "note": "maintenance"})
        assert record.stream is Stream.UNRECOGNIZED
    (alarm,) = told.alarms
    assert alarm["subject"].startswith("Accounts ")
    assert '{channel:"Accounts",data:{equity:"1.5",note:"…",},}' in alarm["detail"]
    told.push("Accounts", {"equity": 1.5, "note": "maintenance"})
    told.push("Accounts", {"equity": "1.5"})
    assert len({alarm["subject"] for alarm in told.alarms}) == 3


def test_a_sample_quotes_nothing_that_we_said() -> None:
    """A peer that echoes the login, in whatever form, brings no key onto `session`."""
    told = Told()
    key, sign = "hf83hTQrk2LmPz", "7e9c416228e1489e134b2699594f6564"
    login = {"action": "login", "args": {"apiKey": key, "sign": sign, "timestamp": "1538054050", "apiToken": "12345"}}
    told.frame(json.dumps(login).encode())
    told.frame(f"GET /?apiKey={key}&sign={sign}".encode())
    told.push(key, {sign: key, "passphrase": 12345, "list": [{"words": [[[key]]]}]})
    assert len(told.alarms) == 3
    for secret in (key, sign, "12345,", '"12345"'):
        assert not any(secret in json.dumps(alarm, ensure_ascii=False) for alarm in told.alarms)
    assert 'action:"login"' in told.alarms[0]["detail"]
    assert 'timestamp:"1538054050"' in told.alarms[0]["detail"]


def test_a_known_channel_with_an_odd_element_is_told_of_too() -> None:
    """The element is published as documented, and somebody should look."""
    told = Told()
    order = {"orderId": "17", "orderState": "OPEN", "clientOrderId": 7}
    assert [record.stream for record in told.push("Orders", order)] == [Stream.ORDERS, Stream.UNRECOGNIZED]
    told.push("Orders", order | {"clientOrderId": 8})
    assert len(told.alarms) == 1


def test_so_many_shapes_are_told_and_no_more() -> None:
    """Of one channel, and of all: a venue that makes up names fills neither `session` nor the memory."""
    told = Told()
    for n in range(20):
        told.push("Accounts", {f"field{n}": 1})
    assert len(told.alarms) == SHAPES_OF_ONE_CHANNEL_MAX
    for n in range(20):
        told.push("MarginCall", CALL | {f"field{n}": 1})
    assert len(told.alarms) == 2 * SHAPES_OF_ONE_CHANNEL_MAX
    for n in range(200):
        told.push("".join(chr(97 + int(digit)) for digit in str(n)), {"a": 1})
    assert len(told.alarms) == SHAPES_MAX


@pytest.mark.parametrize(
    "frame", [b"", b"\xff\xfe", b"<html>", b"[" * 100_000, b"[" * 5000 + b"]" * 5000, b'{"n":' + b"9" * 5000 + b"}"]
)
def test_whatever_comes_is_told(frame: bytes) -> None:
    """Nothing raises, and what is told is short."""
    told = Told()
    told.frame(frame)
    (alarm,) = told.alarms
    assert len(alarm["detail"]) < 2000


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=20,
)


@given(st.text(max_size=9), _json)
def test_arbitrary_frames_are_told(channel: str, data: object) -> None:
    """Nothing raises, and one alarm comes for what is on `unrecognized`."""
    told = Told()
    unrecognized = [record for record in told.push(f"?{channel}", data) if record.stream is Stream.UNRECOGNIZED]
    assert len(told.alarms) == len(unrecognized) == 1


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
def test_a_margin_call_that_says_something_new_is_told_of(change: dict[str, str | None], said: str) -> None:
    """It is published as it came; the alarm comes once."""
    told = Told()
    for _ in range(2):
        (record,) = told.push("MarginCall", CALL | change)
        assert (record.stream, json.loads(record.value or b"")) == (Stream.MARGIN_CALLS, CALL | change)
    (alarm,) = told.alarms
    assert alarm["detail"].startswith(f"a margin call has {said}; such as ")


@pytest.mark.parametrize("status", ["NORMAL", " margin_call", "LIQUIDATION", "TAKEOVER"])
def test_a_documented_margin_call_is_no_alarm(status: str) -> None:
    """In any case, with every documented field."""
    told = Told()
    told.push("MarginCall", dict.fromkeys(MARGIN_CALL_FIELDS, "1") | {"accountStatus": status})
    assert told.alarms == []


def test_a_risk_of_rest_is_held_against_the_same_list() -> None:
    """What is published in place of a margin call is looked at like one."""
    told = Told()
    told.one.sweep(risks=[CALL, CALL | {"accountStatus": "FROZEN"}])
    (alarm,) = told.alarms
    assert "a new accountStatus FROZEN" in alarm["detail"]


def test_every_field_that_is_published_as_documented_is_known() -> None:
    """The schemas and the alarm go by one list."""
    assert {field.encode_name for field in msgspec.structs.fields(DocumentedMarginCall)} <= MARGIN_CALL_FIELDS
