"""What was on the wire as JSON, whoever wrote it."""

import json
from typing import Any


def json_object(text: str) -> dict[str, Any]:
    """Return the JSON object that a frame is; an empty one where it is none."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
