"""The demo's result: for people as a short table, for programs as one JSON object."""

import itertools
import time
from collections.abc import Iterable

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bridge.contract.results import Outcome
from bridge.contract.topics import Stream
from bridge.sandbox.demo.check import (
    Latency,
    MissingPush,
    PushLatencies,
    count_repeats,
    count_sequence_breaks,
    find_gaps,
    find_missing,
    summarize_latency,
)
from bridge.sandbox.demo.desk import TradingDesk
from bridge.sandbox.demo.display_model import format_ms
from bridge.sandbox.demo.orders import CommandDraft
from bridge.sandbox.demo.readers import TopicRecords
from bridge.sandbox.venue.keys import ApiKey
from bridge.sandbox.venue.ledger import EntryKind, Ledger

_LOGIN_SPACING_S = 1.0
"""LTP docs, User Data Overview: one login a second for a key."""
_SHOWN_MAX = 3
_BYTES_SHOWN = 300


class Latencies(msgspec.Struct, frozen=True):
    """Events from the venue's socket to the reader; commands from before the send to the result read back."""

    events: Latency
    commands: Latency


class DemoReport(msgspec.Struct, kw_only=True):
    """What came of a run; a run without a word in `wrong` kept every promise."""

    topics: dict[str, int]
    commands: dict[str, int]
    lost: int
    in_gaps: int
    duplicated: int
    sequence_breaks: int
    latency_ms: Latencies
    gaps: int
    cuts: int
    logins: int
    min_login_gap_s: float | None
    setup_s: float
    seconds: float
    wrong: list[str]


class RunFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Where a run's facts stand."""

    ledger: Ledger
    key: ApiKey
    topic_records: TopicRecords
    desk: TradingDesk
    latencies: PushLatencies
    cuts: int
    setup_s: float
    begun_monotonic_s: float


def make_report(facts: RunFacts) -> DemoReport:
    """Compare, count, and say what is wrong."""
    lacking = find_missing(facts.ledger, facts.key.portfolio_id, facts.topic_records)
    logins = [e for e in facts.ledger.entries(EntryKind.LOGIN) if e.facts["api_key"] == facts.key.api_key]
    spacing = [later.monotonic_s - earlier.monotonic_s for earlier, later in itertools.pairwise(logins)]
    made = DemoReport(
        topics={stream.value: len(facts.topic_records[stream]) for stream in Stream},
        commands={"sent": len(facts.desk.sent), **dict(facts.desk.outcomes.most_common())},
        lost=sum(not one.in_gap for one in lacking),
        in_gaps=sum(one.in_gap for one in lacking),
        duplicated=count_repeats(facts.topic_records),
        sequence_breaks=count_sequence_breaks(facts.topic_records),
        latency_ms=Latencies(
            summarize_latency(facts.latencies.measured_ms),
            summarize_latency(sent.latency_ms for sent in facts.desk.sent if sent.has_terminal_answer),
        ),
        gaps=len(find_gaps(facts.topic_records[Stream.SESSION])),
        cuts=facts.cuts,
        logins=len(logins),
        min_login_gap_s=round(min(spacing), 3) if spacing else None,
        setup_s=round(facts.setup_s, 1),
        seconds=round(time.monotonic() - facts.begun_monotonic_s, 1),
        wrong=[],
    )
    made.wrong.extend(_wrong(made, facts.desk, [one for one in lacking if not one.in_gap]))
    return made


def _wrong(made: DemoReport, desk: TradingDesk, lost: list[MissingPush]) -> list[str]:
    unanswered = [sent.draft for sent in desk.sent if not sent.outcome]
    twice = [sent.draft for sent in desk.sent if sent.terminal_answers > 1]
    found = [
        (made.lost, f"{made.lost} facts of the venue's ledger are not on the topics: {_some(map(_told, lost))}"),
        (made.duplicated, f"{made.duplicated} records repeat a ce_id"),
        (made.sequence_breaks, f"ce_sequence breaks {made.sequence_breaks} times"),
        (unanswered, f"{len(unanswered)} commands have no answer: {_some(map(_named, unanswered))}"),
        (twice, f"{len(twice)} commands have more than one last word: {_some(draft.command_id for draft in twice)}"),
        (
            made.commands.get(Outcome.UNKNOWN, 0) and not made.gaps,
            f"{made.commands.get(Outcome.UNKNOWN, 0)} commands are unknown though the session was never lost",
        ),
        (
            made.min_login_gap_s is not None and made.min_login_gap_s < _LOGIN_SPACING_S,
            f"two logins only {made.min_login_gap_s} s apart",
        ),
        (made.gaps < made.cuts, f"{made.cuts} cuts, but only {made.gaps} gap records"),
    ]
    return [text for is_wrong, text in found if is_wrong]


def _named(draft: CommandDraft) -> str:
    return f"{draft.action} {draft.text}".strip()


def _told(one: MissingPush) -> str:
    event = one.push
    payload = event.payload.decode(errors="replace")
    return f"{event.channel} {event.key}: the ledger has {payload[:_BYTES_SHOWN]}, the topic {one.found[:_BYTES_SHOWN]}"


def _some(texts: Iterable[str]) -> str:
    return "; ".join(itertools.islice(texts, _SHOWN_MAX))


def print_report(made: DemoReport, console: Console) -> None:
    """Print for people."""
    streets = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    for heading, justify in (("topic", "left"), ("records", "right"), ("outcome", "left"), ("commands", "right")):
        streets.add_column(heading, justify=justify)  # type: ignore[arg-type] # two of rich's own words
    for topic, outcome in itertools.zip_longest(made.topics.items(), made.commands.items(), fillvalue=("", "")):
        streets.add_row(topic[0], str(topic[1]), outcome[0], str(outcome[1]))
    console.print()
    console.print(streets)
    console.print()
    for name, latency in (("events", made.latency_ms.events), ("commands", made.latency_ms.commands)):
        console.print(f"{name:<10} median {format_ms(latency.median):>6} ms   p99 {format_ms(latency.p99):>6} ms")
    console.print(
        f"{'session':<10} {made.logins} logins, {made.gaps} gaps, {made.cuts} cuts"
        + (f", logins at least {made.min_login_gap_s:.2f} s apart" if made.min_login_gap_s is not None else "")
    )
    console.print(
        f"{'check':<10} lost {made.lost}   in gaps {made.in_gaps}   duplicated {made.duplicated}"
        f"   sequence breaks {made.sequence_breaks}"
    )
    console.print()
    for text in made.wrong:
        console.print(Text.assemble(("wrong      ", "red"), text))
    if not made.wrong:
        but = ", except what fell into a published gap," if made.in_gaps else ""
        told = f"Everything the venue did is on its topic{but} and every command has its answer."
        console.print(Text(told, style="green"))


def encode_report(made: DemoReport) -> str:
    """Write for programs, on one line."""
    return msgspec.json.encode(made).decode()
