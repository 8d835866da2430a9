"""A secret on a topic is found: each broker is read before it ends."""

import re

from tests.canary.test_canary import LEAKS, _run


def test_a_leak_on_a_topic_is_found(may_start_broker: None) -> None:
    """In a header, after its test."""
    code, told = _run(LEAKS, "-n", "0", "-k", "topic or clean_outputs")
    assert re.search(r"HIT: secret file in topics: ", told), told
    assert code == 1
