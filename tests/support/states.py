"""What a reader of the topics takes for the truth, and what the venue's ledger says it is."""

import json
from typing import Any

from bridge.contract.topics import Stream
from tests.support.rig import Rig, Topic
from tests.witness.epochs import last_of_each_key

CHANNELS = {Stream.ORDERS: "Orders", Stream.ASSETS: "Assets", Stream.POSITIONS: "Positions"}


def last_states(topic: Topic) -> dict[str, Any]:
    """Return the last value of every key: void records are passed over, and a tombstone ends its key."""
    last = last_of_each_key(topic.as_records())
    return {key: record.json for key, record in last.items() if not record.is_tombstone}


def true_states(rig: Rig, stream: Stream, account: str = "main") -> dict[str, Any]:
    """Return the last state of every key in the ledger; a position that is closed counts as none."""
    events = rig.venue.ledger.last_states(CHANNELS[stream], rig.venue.keys[account].portfolio_id)
    states = {key: json.loads(event.payload) for key, event in events.items()}
    return {key: value for key, value in states.items() if not is_closed(value)}


def is_closed(value: dict[str, Any]) -> bool:
    """Tell whether a state is a position without quantity."""
    return value.get("positionQty") == "0"


def tells_the_truth(rig: Rig, topic: Topic, stream: Stream) -> bool:
    """Tell whether the last record of every key that the ledger has is what the ledger says, field by field."""
    found = {key: value for key, value in last_states(topic).items() if not is_closed(value)}
    true = true_states(rig, stream)
    return {key: found.get(key) for key in true} == true


def trades_by_id(topic: Topic) -> dict[str, Any]:
    """Return the trades on a topic after they are deduplicated as documented: by `ce_id`."""
    return {dict(record.headers)["ce_id"].decode(): json.loads(record.value or b"null") for record in topic.records}


def all_trades_are_there(rig: Rig, topic: Topic, account: str = "main") -> bool:
    """Tell whether the trades on a topic are the ledger's: each once, none else, field by field."""
    made = rig.venue.ledger.trades(rig.venue.keys[account].portfolio_id)
    true = {f"trade:{event.identity}": json.loads(event.payload) for event in made}
    return trades_by_id(topic) == true


def recovered(topic: Topic) -> int:
    """Count the records that came from REST."""
    return sum(dict(record.headers).get("ce_recovered") == b"true" for record in topic.records)
