"""The topics, the grants on them and on the groups, and who owns the accounts."""

from typing import Final

from aiokafka.admin import AIOKafkaAdminClient

from bridge.config import Settings
from bridge.contract.topics import Stream, group_name, topic_name
from bridge.doctor.findings import Findings
from bridge.errors import KafkaTrouble
from bridge.kafka.cluster import NO_ANSWER
from bridge.kafka.owners import find_owners
from bridge.kafka.preflight import find_group_problems, find_topic_problems
from bridge.problem import Problem

_TOPICS_DEADLINE_S: Final = 60.0
_OWNERS_DEADLINE_S: Final = 30.0
_AGAIN: Final = "look at the brokers' logs, and try again"
_GRANTS: Final = "kafka.grants."


async def check_topics_and_grants(findings: Findings, admin: AIOKafkaAdminClient, settings: Settings) -> None:
    """Report everything about the topics and groups that breaks the promise, and for each account that nothing does."""
    for account in settings.accounts:
        problems = await findings.await_check(
            _find_problems(admin, settings, account),
            "kafka.topics",
            account,
            deadline_s=_TOPICS_DEADLINE_S,
            remedy=_AGAIN,
        )
        if problems is None:
            continue
        for problem in problems:
            findings.add_problem(problem)
        prefix = settings.kafka.topic_prefix
        if all(problem.id.startswith(_GRANTS) for problem in problems):
            example = topic_name(prefix, account, Stream.COMMANDS)
            findings.add_ok("kafka.topics", account, f"each of its {len(Stream)} topics is fit, as {example}")
        if not any(problem.id.startswith(_GRANTS) for problem in problems):
            group = group_name(prefix, account)
            findings.add_ok("kafka.grants", account, f"nothing is missing on its topics, and Read on the group {group}")


async def _find_problems(admin: AIOKafkaAdminClient, settings: Settings, account: str) -> list[Problem]:
    try:
        problems = await find_topic_problems(admin, settings.kafka, settings.timing, [account])
        return problems + await find_group_problems(admin, settings.kafka, [account])
    except NO_ANSWER as error:
        raise KafkaTrouble(f"the topics could not be looked at: {error!r}") from error


async def find_account_owners(findings: Findings, settings: Settings) -> dict[str, str] | None:
    """Report who owns the accounts. Returns where the owner of each runs, None when Kafka cannot say."""
    owners = await findings.await_check(
        find_owners(settings.kafka, settings.accounts),
        "kafka.owners",
        "groups",
        deadline_s=_OWNERS_DEADLINE_S,
        remedy="grant this principal Read on the groups, or try again",
    )
    if owners is None:
        return None
    for account in settings.accounts:
        found = f"a daemon at {owners[account]} owns it" if account in owners else "no daemon owns it"
        findings.add_ok("kafka.owners", account, found)
    return owners
