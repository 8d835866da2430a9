"""What the doctor prints: a line for each finding, its remedy below it, or one JSON document."""

import json

import pytest

from bridge.core.now import Now
from bridge.doctor.findings import Findings
from bridge.doctor.report import Printer, write_json

HOSTILE = "x\nok    y\x1b[2J"


def test_a_finding_is_a_line_with_its_remedy_below(capsys: pytest.CaptureFixture[str]) -> None:
    """The remedy is indented and whole, so a command in it can be copied; nothing that others wrote breaks a line."""
    printer = Printer()
    findings = Findings(printer.print_finding)
    findings.add_ok("venue.rest", "account main at HA", "it accepts the key")
    findings.add_wrong("kafka.topics.missing", "ltp.main.trades", HOSTILE, "create it: " + "kafka-topics.sh --x " * 30)
    printer.print_counts(findings)
    assert capsys.readouterr().out.splitlines() == [
        "ok    venue.rest account main at HA: it accepts the key",
        r"wrong kafka.topics.missing ltp.main.trades: x\nok    y\x1b[2J",
        "      create it: " + "kafka-topics.sh --x " * 30,
        "1 wrong, 0 note, 1 ok",
    ]


def test_the_document_holds_all_findings() -> None:
    """With counts, version and time."""
    findings = Findings()
    findings.add_ok("venue.rest", "account main", "fine")
    findings.add_note("venue.login", "account main", HOSTILE, "wait")
    text = write_json(findings, Now(0.0, 1_796_000_000_000))
    assert text.isascii()
    assert text.isprintable()
    document = json.loads(text)
    assert document["when"] == "2026-11-30T00:53:20Z"
    assert document["counts"] == {"ok": 1, "note": 1, "wrong": 0}
    assert document["findings"] == [
        {"id": "venue.rest", "level": "ok", "subject": "account main", "found": "fine", "remedy": ""},
        {"id": "venue.login", "level": "note", "subject": "account main", "found": HOSTILE, "remedy": "wait"},
    ]
