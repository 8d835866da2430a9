"""Figures about the package: `python -m tests.house_report [--ref REF] [--against REF] [--names] [--static] [--json]`.

It reads the working tree, or a git ref, and with `--against` puts another ref's figures before them. What is counted,
and how, stands with each figure: `tests/house/figures.py`, `account_use.py`, `containers.py` and `message_calls.py`.
All but the ways of messages are read from the source. Those are measured on a real daemon of the tree, with a broker
and the sandbox venue of this one, and take half a minute for each tree; `--static` leaves them out.
"""

import argparse
import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from msgspec import Struct

from tests.house.account_use import AccountUse, count_account_use
from tests.house.containers import Container, Containers, find_containers
from tests.house.figures import (
    ONE_WORD_SHARE_MAX,
    PARAMETERS_MAX,
    Constructor,
    PrivateNames,
    Size,
    TwinClasses,
    count_private_names,
    count_sizes,
    find_large_constructors,
    find_twin_classes,
)
from tests.house.source import extract_ref, order_folders, read_modules
from tests.house.ways import Way, measure_ways

ROOT: Final = Path(__file__).parents[1]
_NOTHING: Final = "-"
_MESSAGES: Final = {"push": "an order push", "place": "a place", "ack": "the ack of a place"}

_Figure = TypeVar("_Figure")

Rows = Mapping[str, str]
"""Lines of a table: what is counted, and how much of it."""


class Report(Struct, frozen=True):
    """All figures of one tree; `ways` is empty where they were not measured."""

    sizes: dict[str, Size]
    private_names: dict[str, PrivateNames]
    classes: TwinClasses
    constructors: list[Constructor]
    account: AccountUse
    containers: Containers
    ways: dict[str, Way] = {}


def report_tree(tree: Path, *, static: bool) -> Report:
    """Return the figures of a tree. Raises FileNotFoundError where it has no package."""
    modules = read_modules(tree)
    return Report(
        sizes=count_sizes(modules),
        private_names=count_private_names(modules),
        classes=find_twin_classes(modules),
        constructors=find_large_constructors(modules),
        account=count_account_use(modules),
        containers=find_containers(modules),
        ways={} if static else asyncio.run(measure_ways(tree)),
    )


def tables(report: Report, *, names: bool = False) -> dict[str, Rows]:
    """Return the tables of a report by their titles; `names` lists the functions that are named with one word."""
    by_key = sum(1 for one in report.containers.counted if one.reason == "by key")
    counted = len(report.containers.counted)
    share_max = f"{ONE_WORD_SHARE_MAX:.0%}"
    told: dict[str, Rows] = {
        "in all": {
            "folders with more than the target's share of one-word private names": str(
                sum(1 for one in report.private_names.values() if one.share > ONE_WORD_SHARE_MAX)
            ),
            "class names that exist twice": str(len(report.classes.twins)),
            f"constructors with more than {PARAMETERS_MAX} parameters": str(len(report.constructors)),
            "members of Account that flow uses": str(len(report.account.members)),
            "accesses account.part.member in flow": str(len(report.account.reaching)),
            "containers of commands: by type, by key": f"{counted - by_key}, {by_key}",
            **{f"files that handle {_MESSAGES[way]}": str(len(one.handling)) for way, one in report.ways.items()},
        },
        "files, lines of code, lines of docstrings": {
            folder: f"{size.files}, {size.code_lines}, {size.docstring_lines}"
            for folder, size in _by_folder(report.sizes).items()
        },
        f"private functions named with one word (target: at most {share_max} in each folder)": {
            folder: f"{len(one.one_word)} of {one.functions} = {one.share:.0%}"
            for folder, one in _by_folder(report.private_names).items()
        },
    }
    if names:
        listed = [name for one in report.private_names.values() for name in one.one_word]
        told["their names"] = dict.fromkeys(sorted(listed), "one word")
    told["class names that exist twice"] = _places(report.classes.twins)
    told["a Protocol and its class of the same name (not counted)"] = _places(report.classes.ports)
    told[f"constructors with more than {PARAMETERS_MAX} parameters"] = {
        f"{one.path} {one.owner}": str(one.parameters) for one in report.constructors
    }
    told.update(_account_tables(report.account))
    told["containers a command can be in"] = _containers(report.containers.counted)
    told["containers found and left out"] = _containers(report.containers.left_out)
    for way, one in report.ways.items():
        told[f"functions on the way of {_MESSAGES[way]}, by file"] = {
            "files, functions that handle it": f"{len(one.handling)}, {one.functions}",
            **{file: str(len(functions)) for file, functions in one.handling.items()},
            **{f"{file} (helps)": str(len(functions)) for file, functions in one.helping.items()},
        }
    return told


def _account_tables(account: AccountUse) -> dict[str, Rows]:
    return {
        "members of Account that flow uses": {name: str(times) for name, times in account.members.items()},
        "accesses account.part.member in flow": {name: str(times) for name, times in account.reaching.items()},
        "attributes of Account that flow reads or hands on": {
            name: str(times) for name, times in account.handed_over.items()
        },
    }


def _by_folder(figures: Mapping[str, _Figure]) -> dict[str, _Figure]:
    return {folder: figures[folder] for folder in order_folders(set(figures))}


def _places(classes: Mapping[str, list[str]]) -> Rows:
    """Name each class with its files, without the lines: those differ between any two trees."""
    files = {name: sorted(place.partition(":")[0] for place in places) for name, places in classes.items()}
    return {f"{name} ({', '.join(of)})": str(len(of)) for name, of in files.items()}


def _containers(containers: Sequence[Container]) -> Rows:
    return {f"{one.path} {one.owner}.{one.attribute}: {one.annotation}": one.reason for one in containers}


def render(before: Mapping[str, Rows] | None, after: Mapping[str, Rows]) -> str:
    """Write tables as text, with a column for each tree."""
    lines = []
    for title in dict.fromkeys((*(before or {}), *after)):
        columns = [tables.get(title, {}) for tables in (before, after) if tables is not None]
        labels = list(dict.fromkeys(label for rows in reversed(columns) for label in rows))
        lines += ["", f"{title}:"]
        if not labels:
            lines.append("  none")
            continue
        width = max(len(label) for label in labels)
        widths = [max(len(rows.get(label, _NOTHING)) for label in labels) for rows in columns]
        for label in labels:
            cells = [f"{rows.get(label, _NOTHING):>{wide}}" for rows, wide in zip(columns, widths, strict=True)]
            lines.append(f"  {label:<{width}}  {'  ->  '.join(cells)}")
    return "\n".join(lines[1:]) + "\n"


def main() -> int:
    """Tell the figures that the arguments ask for. Returns 2 where a tree cannot be read."""
    parser = argparse.ArgumentParser(description="Tell figures about the package, of one tree or before and after.")
    parser.add_argument("--ref", help="the git ref to look at; the working tree without it")
    parser.add_argument("--against", help="a git ref whose figures are put before")
    parser.add_argument("--names", action="store_true", help="list the private functions that are named with one word")
    parser.add_argument("--static", action="store_true", help="leave out what needs a running daemon")
    parser.add_argument("--json", action="store_true", help="tell everything as JSON")
    options = parser.parse_args()
    try:
        before = _report_ref(options.against, static=options.static) if options.against else None
        after = _report_ref(options.ref, static=options.static)
    except (subprocess.CalledProcessError, FileNotFoundError, SyntaxError) as error:
        detail = error.stderr.decode() if isinstance(error, subprocess.CalledProcessError) else str(error)
        sys.stderr.write(f"the tree cannot be read: {detail.strip()}\n")
        return 2
    if options.json:
        told = {"before": before, "after": after} if before is not None else after
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(told)).decode() + "\n")
        return 0
    rows = None if before is None else tables(before, names=options.names)
    sys.stdout.write(render(rows, tables(after, names=options.names)))
    return 0


def _report_ref(ref: str | None, *, static: bool) -> Report:
    if ref is None:
        return report_tree(ROOT, static=static)
    with tempfile.TemporaryDirectory(prefix="tree-") as folder:
        return report_tree(extract_ref(ROOT, ref, Path(folder)), static=static)


if __name__ == "__main__":
    sys.exit(main())
