"""This machine's clock against the venue's and the cluster's."""

from typing import Final

from bridge.core.now import Now
from bridge.core.skew import ClockReading
from bridge.doctor.findings import Findings

_REMEDY: Final = "let NTP set this machine's clock (timedatectl set-ntp true, or chrony); see what it says: timedatectl"


def judge_clock(
    findings: Findings, finding_id: str, subject: str, reading: ClockReading, now: Now, *, whose: str, bound_s: float
) -> None:
    """Report how far this machine's clock is from another, and whether `timing.skew_bound_s` allows it."""
    skew = reading.skew(now)
    found = skew.describe(whose)
    if skew.exceeds(bound_s):
        found = f"{found}; timing.skew_bound_s allows {bound_s:g} s"
        findings.add_wrong(finding_id, subject, found, f"{_REMEDY}; if this clock is right, {whose} is wrong")
    elif skew.within(bound_s):
        findings.add_ok(finding_id, subject, found)
    else:
        remedy = "try again: the answer took too long to tell more"
        findings.add_note(finding_id, subject, f"{found}; timing.skew_bound_s allows {bound_s:g} s", remedy)
