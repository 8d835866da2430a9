"""The table of where the vendor's documents, its clients and production disagree: a test shows each row."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROWS = {
    1: "preferred tier",
    2: "login code type",
    3: "login failure shape",
    4: "heartbeat style",
    5: "silence rule",
    6: "action failure shape",
    7: "ack success code",
    8: "order state spelling",
    9: "action word spelling",
    10: "order type field",
    11: "reduce only type",
    12: "leverage type",
    13: "side of a netted position",
    14: "clientOrderId rules",
    15: "replace by name",
    16: "replace gives another order",
    17: "cancel_orders scope",
    18: "history by age",
    19: "page count",
    20: "trade fee form",
    21: "liquidation price",
    22: "loan fields",
    23: "liquidation types",
    24: "rate limits",
    25: "what UAT is",
    26: "signing samples",
    27: "HTTP/2",
    28: "no sequence",
    29: "no-risk number",
    30: "account status spelling",
    31: "request id",
    32: "orders of others",
    33: "nothing kept for the absent",
}

NOTHING_TO_DO = {
    25: "real money is assumed everywhere: `environment` names the source of the events and switches nothing",
}
"""Rows without a case, and why the bridge has nothing to do about them."""

CASES = sorted(Path(__file__).parents[1].glob("*/test_vendor_quirks*.py"))
_ID = re.compile(r"(\d\d) ([^:]+)(: .+)?")


def _ids() -> Iterator[str]:
    """Return the id of every case in every file."""
    for path in CASES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.param":
                yield from (str(ast.literal_eval(word.value)) for word in node.keywords if word.arg == "id")


def test_every_row_has_a_case_or_a_reason_for_none() -> None:
    """Each row has one of the two."""
    shown = {int(one[:2]) for one in _ids()}
    assert list(range(1, 34)) == sorted(ROWS)
    assert sorted(shown | NOTHING_TO_DO.keys()) == sorted(ROWS)
    assert shown & NOTHING_TO_DO.keys() == set()


def test_a_case_names_its_row_in_the_words_of_the_table() -> None:
    """No two cases have one id."""
    ids = list(_ids())
    named = [_ID.fullmatch(one) for one in ids]
    assert [one for one, name in zip(ids, named, strict=True) if name is None or ROWS[int(name[1])] != name[2]] == []
    assert sorted(set(ids)) == sorted(ids)
