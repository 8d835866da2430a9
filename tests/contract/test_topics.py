"""Names of topics and groups."""

from bridge.contract.topics import CLEANUP_POLICY, STATE_STREAMS, Stream, group_name, topic_name


def test_one_rule_names_every_topic() -> None:
    """A topic's name is prefix, account and stream, so that a grant by prefix covers an account."""
    assert topic_name("ltp", "main", Stream.MARGIN_CALLS) == "ltp.main.margin-calls"
    assert group_name("ltp", "main") == "ltp.main"
    assert {topic_name("ltp", "main", stream) for stream in Stream} == {f"ltp.main.{stream.value}" for stream in Stream}


def test_topics_are_those_of_the_contract() -> None:
    """A new topic changes the contract."""
    assert {stream.value for stream in Stream} == {
        *("orders", "trades", "assets", "positions", "margin-calls", "liquidations"),
        *("session", "unrecognized", "commands", "results", "dead-letters"),
    }


def test_state_is_compacted_and_nothing_else_is() -> None:
    """Retention must not remove the last record of a state, and compaction must not remove history."""
    assert set(CLEANUP_POLICY) == set(Stream)
    assert {stream for stream in Stream if "compact" in CLEANUP_POLICY[stream]} == STATE_STREAMS
