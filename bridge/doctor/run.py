"""One run of the doctor: every check, in the order in which the daemon needs what it looks at."""

from collections.abc import Callable

from bridge.config import Settings
from bridge.core.now import Now
from bridge.doctor.brokers import check_brokers, reach_brokers
from bridge.doctor.files import check_secret_files, report_settings
from bridge.doctor.findings import Findings
from bridge.doctor.logins import check_logins
from bridge.doctor.own_certificates import check_own_certificates
from bridge.doctor.topics import check_topics_and_grants, find_account_owners
from bridge.doctor.venue import Endpoints


async def examine(settings: Settings, clock: Callable[[], Now], findings: Findings) -> None:
    """Try everything that the daemon needs, and report it; each check that does not need a failed one goes on."""
    report_settings(findings, settings)
    check_secret_files(findings, settings)
    check_own_certificates(findings, settings.kafka, settings.management, clock())
    endpoints = Endpoints(findings, settings, clock)
    await endpoints.check_routes()
    owners: dict[str, str] | None = None
    async with reach_brokers(findings, settings, clock) as admin:
        if admin is not None:
            await check_brokers(findings, admin, settings, clock)
            await check_topics_and_grants(findings, admin, settings)
            owners = await find_account_owners(findings, settings)
    for name, account in settings.accounts.items():
        await endpoints.check_account(name, account, has_owner=name in (owners or {}))
        await check_logins(findings, settings, endpoints, name, owners=owners, clock=clock)
