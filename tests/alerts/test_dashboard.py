"""The dashboard is one that Grafana can load, and answers its five questions."""

import json
from typing import Any

from tests.alerts.rules_file import DASHBOARD, read_dashboard


def _read() -> dict[str, Any]:
    return dict(json.loads(DASHBOARD.read_text(encoding="utf-8")))


def test_the_dashboard_has_a_row_for_each_question() -> None:
    """From the session to what is to be done."""
    rows = [panel["title"] for panel in _read()["panels"] if panel["type"] == "row"]
    assert rows == [
        "Are we logged in?",
        "Is anything lost?",
        "How full are the budgets?",
        "How fast are we?",
        "What is to be done?",
    ]


def test_every_panel_asks_the_chosen_prometheus_and_says_what_it_shows() -> None:
    """None names a datasource of one installation; ids are unique, and no panel covers another."""
    panels = _read()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    covered = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(covered)) == len(covered)
    assert max(x for x, _ in covered) == 23
    for panel in panels:
        if panel["type"] != "row":
            assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, panel["title"]
            assert panel["description"], panel["title"]
            assert panel["targets"], panel["title"]


def test_every_query_with_an_account_is_about_the_chosen_ones() -> None:
    """Only what belongs to a process is not."""
    of_processes = {title for title, expression in read_dashboard() if "$account" not in expression}
    assert of_processes == {"Memory", "Event loop, latest timers"}
