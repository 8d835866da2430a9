"""Every record of a short real run is valid: schemas, headers, the CloudEvents SDK, and the rules of the README."""

from tests.records.checker import check
from tests.records.scene import Options, play
from tests.witness.console import say

_SHORT = Options(seconds=6, cuts=1, rate_per_s=10, seed=1, lasting_doubts=False)


async def test_every_record_of_a_run_is_valid(bootstrap: str) -> None:
    """Two owners, a cut, rare pushes and bad commands: no topic is empty, and no record breaks the contract."""
    verdict = check(await play(bootstrap, _SHORT, say))
    assert [] == [str(wrong) for wrong in verdict.wrongs]
    assert [] == verdict.empty
    assert verdict.parsed == len(verdict.records.events)
    told = {record.fields.get("type") for record in verdict.records["session"]}
    assert {"gap.opened", "gap.closed", "recovery.complete", "owner.released"} <= told
    assert any(record.texts.get("ce_recovered") for record in verdict.records.events)
    assert any(record.value is None for record in verdict.records["positions"])
