"""The panic button on a real broker, in short; `make panic` measures it at full size."""

import pytest

from tests.panic.pressed import POLICIES, WAIT_S, Crowd, Policy, changes, hang_account
from tests.support.replica import owner_and_standby
from tests.support.rig import Rig

_SOON_S = 20.0
"""Far below what the crowd would take; `make panic` holds it to a second."""


@pytest.mark.parametrize("policy", POLICIES)
async def test_the_panic_button_works_while_the_venue_hangs_and_after_a_takeover(rig: Rig, policy: Policy) -> None:
    """Places in doubt, places that wait, cancels that are repeated; the button is on the wire in front of them."""
    async with owner_and_standby(rig, **changes(policy)) as (owner, standby):
        hung = await hang_account(rig, Crowd(in_doubt=100, queued=500, repeated=30), policy, lambda _: None)
        assert await hung.press_for_one() < _SOON_S
        assert (await hung.press()).last_s < _SOON_S
        await hung.prepare()
        await hung.wait_until_places_rest()
        owner.kill()
        await standby.until("recovery.complete", deadline_s=WAIT_S)
        assert await hung.press_for_one() < _SOON_S
        assert (await hung.press()).last_s < _SOON_S
        await hung.settle()
    assert hung.limited() == 0
