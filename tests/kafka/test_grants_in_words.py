"""The words for a missing grant: to whom it is to be given, and that a rule may deny it."""

import shlex
from pathlib import Path

import pytest

from bridge.config import Kafka
from bridge.contract.topics import Stream
from bridge.kafka.grants import Operation, report_missing

SASL = {"security_protocol": "SASL_PLAINTEXT", "sasl_password_file": "password"}


@pytest.mark.parametrize(
    ("section", "principal"),
    [
        ({}, "User:ANONYMOUS"),
        ({"security_protocol": "SSL"}, "User:ANONYMOUS"),
        ({**SASL, "sasl_username": "o'brien $HOME & co"}, "User:o'brien $HOME & co"),
    ],
    ids=["no authentication", "TLS without a certificate", "a name with signs of the shell"],
)
def test_the_command_names_the_principal_that_the_brokers_see(
    section: dict[str, str], principal: str, tmp_path: Path
) -> None:
    """As one word of the shell."""
    (tmp_path / "password").write_text("a-password")
    section = {name: str(tmp_path / to) if name.endswith("_file") else to for name, to in section.items()}
    kafka = Kafka.model_validate({"bootstrap_servers": "127.0.0.1:9092", **section})
    problem = report_missing(kafka, "ltp.main.trades", Stream.TRADES, [Operation.WRITE])
    sentence, _, command = problem.remedy.partition(": kafka-acls.sh ")
    assert "after removing what denies it" in sentence
    words = shlex.split(command)
    assert words[words.index("--allow-principal") + 1] == principal
