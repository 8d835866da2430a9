"""The demo's report: a short table, or one JSON object."""

import itertools
import time
from collections.abc import Iterable
from typing import Final

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bridge.contract.headers import ID
from bridge.contract.results import Outcome
from bridge.contract.topics import Stream
from bridge.sandbox.demo.check import (
    Latency,
    MissingPush,
    PushLatencies,
    count_sequence_breaks,
    find_gaps,
    find_missing,
    find_repeats,
    summarize_latency,
)
from bridge.sandbox.demo.desk import DEAD_LETTER, TradingDesk
from bridge.sandbox.demo.display_model import format_ms
from bridge.sandbox.demo.orders import CommandDraft
from bridge.sandbox.demo.readers import ReadRecord, TopicRecords
from bridge.sandbox.venue.keys import ApiKey
from bridge.sandbox.venue.ledger import EntryKind, Ledger

_LOGIN_SPACING_S = 1.0
"""LTP docs, User Data Overview: one login a second for a key."""
_MISTAKES: Final = frozenset({Outcome.REJECTED, Outcome.DENIED, Outcome.EXPIRED, DEAD_LETTER})
_SHOWN_MAX = 3
_BYTES_SHOWN = 300


class Latencies(msgspec.Struct, frozen=True):
    """The latencies of events (venue's socket to reader) and commands (send to the reading of the result)."""

    events: Latency
    commands: Latency


class DemoReport(msgspec.Struct, kw_only=True):
    """The result of a run; `wrong` is empty if the bridge kept every promise."""

    topics: dict[str, int]
    commands: dict[str, int]
    other_commands: int
    """The commands of other callers, from a second terminal; their answers are not in `commands`."""
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
    """The data of a run."""

    ledger: Ledger
    until: int
    """The number of the ledger's entry up to which the topics must be complete."""
    key: ApiKey
    topic_records: TopicRecords
    desk: TradingDesk
    latencies: PushLatencies
    cuts: int
    setup_s: float
    begun_monotonic_s: float


def make_report(facts: RunFacts) -> DemoReport:
    """Return the report of a run."""
    missing = find_missing(facts.ledger, facts.key.portfolio_id, facts.topic_records, facts.until)
    repeats = find_repeats(facts.topic_records)
    logins = [e for e in facts.ledger.entries(EntryKind.LOGIN) if e.facts["api_key"] == facts.key.api_key]
    spacing = [later.monotonic_s - earlier.monotonic_s for earlier, later in itertools.pairwise(logins)]
    result = DemoReport(
        topics={stream.value: len(facts.topic_records[stream]) for stream in Stream},
        commands={"sent": len(facts.desk.sent), **dict(facts.desk.outcomes.most_common())},
        other_commands=len(facts.desk.other_commands),
        lost=sum(not one.in_gap for one in missing),
        in_gaps=sum(one.in_gap for one in missing),
        duplicated=len(repeats),
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
    lost = [one for one in missing if not one.in_gap]
    result.wrong.extend(_find_violations(result, facts.desk, lost, repeats))
    return result


def _find_violations(
    result: DemoReport, desk: TradingDesk, lost: list[MissingPush], repeats: list[ReadRecord]
) -> list[str]:
    unanswered = [sent.draft for sent in desk.sent if not sent.outcome]
    examples = _join_first(map(_describe_missing, lost))
    repeated = _join_first(record.headers[ID].decode() for record in repeats)
    twice = [sent.draft for sent in desk.sent if sent.has_too_many_answers]
    found = [
        (
            result.lost,
            f"{result.lost} facts of the venue's ledger are not on the topics: {examples}",
        ),
        (result.duplicated, f"{result.duplicated} records repeat a ce_id: {repeated}"),
        (result.sequence_breaks, f"ce_sequence breaks {result.sequence_breaks} times"),
        (unanswered, f"{len(unanswered)} commands have no answer: {_join_first(map(_describe_command, unanswered))}"),
        (
            twice,
            f"{len(twice)} commands have more answers than they were sent: "
            + _join_first(draft.command_id for draft in twice),
        ),
        (
            result.commands.get(Outcome.UNKNOWN, 0) and not result.gaps,
            f"{result.commands.get(Outcome.UNKNOWN, 0)} commands are unknown though the session was never lost",
        ),
        (
            result.min_login_gap_s is not None and result.min_login_gap_s < _LOGIN_SPACING_S,
            f"two logins only {result.min_login_gap_s} s apart",
        ),
        (result.gaps < result.cuts, f"{result.cuts} cuts, but only {result.gaps} gap records"),
    ]
    return [text for is_wrong, text in found if is_wrong]


def _describe_command(draft: CommandDraft) -> str:
    return f"{draft.action} {draft.text}".strip()


def _describe_missing(one: MissingPush) -> str:
    push = one.push
    payload = push.payload.decode(errors="replace")
    return f"{push.channel} {push.key}: the ledger has {payload[:_BYTES_SHOWN]}, the topic {one.found[:_BYTES_SHOWN]}"


def _join_first(texts: Iterable[str]) -> str:
    return "; ".join(itertools.islice(texts, _SHOWN_MAX))


def print_report(result: DemoReport, console: Console) -> None:
    """Print the report as a table."""
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    for heading, justify in (("topic", "left"), ("records", "right"), ("outcome", "left"), ("commands", "right")):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type] # two of rich's own words
    for topic, outcome in itertools.zip_longest(result.topics.items(), result.commands.items(), fillvalue=("", "")):
        table.add_row(topic[0], str(topic[1]), outcome[0], str(outcome[1]))
    console.print()
    console.print(table)
    console.print()
    for name, latency, way in (
        ("pushes", result.latency_ms.events, "from the venue's socket to a reader"),
        ("commands", result.latency_ms.commands, "from the send to the reading of the result"),
    ):
        console.print(f"{name:<10} median {format_ms(latency.median)} ms, p99 {format_ms(latency.p99)} ms, {way}")
    spacing = result.min_login_gap_s
    counts = (
        _count_words(result.logins, "login"),
        f"{_count_words(result.gaps, 'gap')} after the start",
        _count_words(result.cuts, "cut"),
    )
    console.print(
        f"{'session':<10} {', '.join(counts)}"
        + (f"; logins at least {spacing:.2f} s apart (LTP allows one a second)" if spacing is not None else "")
    )
    console.print(
        f"{'check':<10} lost {result.lost}, in published gaps {result.in_gaps}, duplicated {result.duplicated},"
        f" breaks of ce_sequence {result.sequence_breaks}"
    )
    if result.other_commands:
        console.print(f"{'others':<10} {_count_words(result.other_commands, 'command')} of other callers")
    console.print()
    if _MISTAKES & result.commands.keys():
        console.print("The desk makes some mistakes on purpose; that is why not every command is accepted.")
    for text in result.wrong:
        console.print(Text.assemble(("wrong      ", "red"), text))
    if not result.wrong:
        but = ", except what fell into a published gap," if result.in_gaps else ""
        text = f"Everything the venue did is on its topic{but} and every command has its answer."
        console.print(Text(text, style="green"))


def _count_words(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def encode_report(result: DemoReport) -> str:
    """Return the report as one line of JSON."""
    return msgspec.json.encode(result).decode()
