"""The independent checker: tells from the topics and the venue's ledger alone what was missed, and whether it was said.

It shares no code with the bridge. It knows the topics as their readers do, the form of our request ids (ledger.py),
and what was done to the wires. Its input is one recording as plain JSON:

- `ledger`: the lines of the venue's ledger;
- `topics`: the records of each stream (records.py): `offset`, `timestamp`, `key`, `headers` and `text`;
- `timing`: the settings that say how soon something is noticed (gaps.py);
- `done`: what was done and when, that the ledger cannot tell: `kind` (wire, kafka, mute, rest, odd, redated, clock,
  deleted, death), `from_ms`, `to_ms`; by how much a clock was set wrong (`step_ms`), which `topic` was deleted;
- `begin_ms`, `end_ms`: when the run began, and when everything was read.

A violation names its rule, why it is broken, and the smallest witness: ids, offsets, times.
"""

from collections import Counter
from typing import Any

from tests.chaos import contents, listening, terms
from tests.chaos.contents import STREAMS
from tests.chaos.gaps import Outages, Timing
from tests.chaos.ledger import PushLedger
from tests.witness.record import Record
from tests.witness.violation import Violation


def check(recording: dict[str, Any]) -> tuple[list[Violation], dict[str, Any]]:
    """Return every violation, and what was counted on the way."""
    done = recording["done"]
    ledger = PushLedger(recording["ledger"], max((one.get("step_ms", 0) for one in done), default=0))
    deleted = [one for one in done if one["kind"] == "deleted"]
    for one in deleted:
        ledger.mark_deleted(one["topic"], one["to_ms"])
    topics = {stream: [Record.from_plain(stream, raw) for raw in recording["topics"][stream]] for stream in STREAMS}
    timing = Timing(**recording["timing"])
    begin_ms, end_ms = recording["begin_ms"], recording["end_ms"]
    session, gaps = topics["session"], listening.published_gaps(topics)
    outages = Outages(ledger, done, begin_ms)
    logins_ms = [int(one.fields["at"]) for one in session if one.fields.get("type") == "session.opened"]
    violations = [
        *contents.trades_once(topics, ledger),
        *contents.nothing_invented(topics, ledger),
        *contents.last_record_is_true(topics, ledger),
        *listening.unheard_lies_in_a_gap(topics, ledger, gaps, timing),
        *listening.silence_lies_in_a_gap(gaps, outages, end_ms),
        *listening.gaps_have_a_reason(gaps, logins_ms, outages, timing, begin_ms=begin_ms, end_ms=end_ms),
        *listening.gaps_end(session, gaps),
        *listening.closed_when_whole(topics, ledger, gaps),
        *terms.numbers_are_contiguous(topics, {one["topic"] for one in deleted}),
        *terms.recovered_after_login(session, ledger, timing, done, end_ms),
        *terms.gated_until_recovered(session, ledger, done),
        *terms.alarms_have_a_cause(session, ledger, done),
    ]
    facts = {
        "events": len(ledger.pushes),
        "trades": len(ledger.of_topic("trades")),
        "unheard": len(listening.unheard(topics, ledger)),
        "recovered": {
            stream: count for stream in STREAMS if (count := sum(one.is_recovered for one in topics[stream]))
        },
        "gaps": len(gaps),
        "taken_over": sum(bool(gap.taken_over_by) for gap in gaps.values()),
        "causes": dict(Counter(gap.cause for gap in gaps.values())),
        "sessions": len(ledger.sessions),
        "outage_s": round(outages.true_ms(end_ms) / 1000, 1),
        "gap_s": round(listening.total_ms(gaps, end_ms) / 1000, 1),
        "gated": len(ledger.gated),
        "bites": dict(ledger.faults),
    }
    return violations, facts
