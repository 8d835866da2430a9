"""Searches everything that a test run puts out for every secret that it uses: `pytest --canary` (`make canary`).

Everything logs at DEBUG meanwhile, processes too. The run fails where a secret stands in an output, or where nothing
was searched. An access key in a login's frame is on the wire by design, and is not in what is searched.
"""

import logging
import os
from collections import Counter
from typing import Any, Final

import pytest
from msgspec import Struct, field

from bridge.admin.logs import LIBRARIES_AT_WARNING
from tests.canary.outputs import Hit, Outputs
from tests.canary.secrets import Secrets
from tests.canary.taps import Pages, tap_pages, tap_processes, tap_secrets, tap_texts, tap_topics

_LEVEL: Final = "LTP_BRIDGE_LOG__LEVEL"
_OUTPUT: Final = "canary"


class _Finding(Struct):
    """What a run, or one of its workers, has searched and found."""

    secrets: Counter[str] = field(default_factory=Counter)
    bytes: Counter[str] = field(default_factory=Counter)
    hits: list[Hit] = []
    too_short: int = 0
    unread: list[str] = []


class Canary:
    """The plugin of one process of the run: of a worker, or of the only one."""

    def __init__(self, config: pytest.Config) -> None:
        self._is_controller = getattr(config.option, "numprocesses", None) and not hasattr(config, "workerinput")
        self._config = config
        self._secrets, self._outputs = Secrets(), Outputs()
        self._unread: list[str] = []
        self._patch = pytest.MonkeyPatch()
        self._found = _Finding()
        if not self._is_controller:
            self._tap()

    def _tap(self) -> None:
        patch, outputs, pages = self._patch, self._outputs, Pages(self._outputs)
        tap_secrets(patch, self._secrets)
        tap_texts(patch, outputs)
        tap_pages(patch, outputs, pages)
        tap_processes(patch, outputs, pages)
        tap_topics(patch, outputs, self._unread)
        # What `log.level = "debug"` sets, here and in every process that is started.
        patch.setitem(os.environ, _LEVEL, "debug")
        logging.getLogger().setLevel(logging.DEBUG)
        for name in LIBRARIES_AT_WARNING:
            logging.getLogger(name).setLevel(logging.WARNING)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> None:
        """Note which test it is."""
        self._outputs.test = item.nodeid

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take in what pytest has captured of a test."""
        if not self._is_controller and report.when == "teardown":
            for title, text in report.sections:
                self._outputs.add("log lines" if "log" in title else "stdout and stderr", text)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Search, and fail the run where a secret stands in an output."""
        if not self._is_controller:
            self._patch.undo()
            hits = self._outputs.find(self._secrets.make_search())
            secrets, sizes = Counter(self._secrets.describe()), self._outputs.bytes
            self._found = _Finding(secrets, sizes, hits, len(self._secrets.too_short), self._unread)
        if hasattr(self._config, "workeroutput"):
            found = self._found
            self._config.workeroutput[_OUTPUT] = [
                dict(found.secrets),
                dict(found.bytes),
                [list(hit) for hit in found.hits],
                found.too_short,
                found.unread,
            ]
        elif self._found.hits or not sum(self._found.bytes.values()):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_testnodedown(self, node: Any) -> None:  # noqa: ANN401 - a worker of xdist
        """Take over what a worker has found; one that has ended before its time has found nothing."""
        secrets, sizes, hits, too_short, unread = node.workeroutput[_OUTPUT]
        self._found.secrets.update(secrets)
        self._found.bytes.update(sizes)
        self._found.hits.extend(Hit(*hit) for hit in hits)
        self._found.too_short += too_short
        self._found.unread.extend(unread)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print what was searched for, in what, and what was found."""
        found = self._found
        terminalreporter.section("canary")
        kinds = ", ".join(f"{count} of kind {kind}" for kind, count in sorted(found.secrets.items()))
        terminalreporter.line(f"searched for {kinds}; {found.too_short} too short to be searched for")
        for where, size in sorted(found.bytes.items()):
            hits = sum(hit.where == where for hit in found.hits)
            terminalreporter.line(f"{where:<18} {size:>13,} bytes  {hits} hits")
        terminalreporter.line(f"{'all':<18} {sum(found.bytes.values()):>13,} bytes  {len(found.hits)} hits")
        for hit in found.hits:
            terminalreporter.line(f"HIT: {hit.kind} in {hit.where}: {hit.test}")
        for text in found.unread:
            terminalreporter.line(f"topics that could not be read: {text}")
