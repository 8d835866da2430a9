"""What REST may spell otherwise than the push did and mean the same; the checker's own reading of it."""

from decimal import Decimal, InvalidOperation
from typing import Any, Final

from tests.chaos.ledger import PushLedger
from tests.witness.record import Record
from tests.witness.request import Entry

_SYNONYMS: Final = {"CANCELED": "CANCELLED", "REJECTED": "REJECT"}
_WORDS: Final = ("orderState", "side")
_ODD_FIELDS: Final = ("clientOrderId", "updateAt")
"""Fields that the faults `odd_rows` and `redated` change to what was never pushed, and that say nothing of a state."""


def differences(wanted: dict[str, Any], record: Record, ledger: PushLedger) -> Entry:
    """Return the fields in which a record differs from a push, with both values.

    They have to be equal. Only where REST's rows were changed or pushes redated may what was recovered spell words and
    numbers otherwise, and tell other values of the fields that were changed.
    """
    found, names = record.fields, sorted(wanted.keys() | record.fields.keys())
    if not record.is_recovered or not (ledger.faults["change_rows"] or ledger.faults["redate_push"]):
        return {name: [wanted.get(name), found.get(name)] for name in names if wanted.get(name) != found.get(name)}
    return {
        name: [wanted.get(name), found.get(name)]
        for name in names
        if name not in _ODD_FIELDS and _meaning(name, wanted.get(name)) != _meaning(name, found.get(name))
    }


def _meaning(name: str, value: object) -> object:
    if name in _WORDS and isinstance(value, str):
        return _SYNONYMS.get(value.upper(), value.upper())
    if isinstance(value, str | float) and value != "":
        try:
            return Decimal(str(value))
        except InvalidOperation:
            return value
    return value
