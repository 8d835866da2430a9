"""A cancel_orders by single cancels, among everything else that is to be written."""

from tests.support.one_account import cancel, cancel_all, order_push
from tests.support.outside import Outside, order_row
from tests.witness.waiting import until

_LIMITS = {"place_order": 1000, "replace_order": 1000, "cancel_order": 2000, "cancel_orders": 1000}


async def test_single_cancels_go_ahead_of_repeats() -> None:
    """Both wait for commits that tell of them; with hundreds of cancels to repeat, no open order waits for those."""
    outside = Outside(cancel_orders="single_cancels", limits=_LIMITS)
    outside.venue.open = [order_row(order_push("", orderId=f"7{number:015d}")) for number in range(100)]

    def own() -> list[bool]:
        return ["y" in request["id"] for request in outside.venue.written]

    async with outside.running():
        outside.venue.answer = None
        outside.group.write(*(cancel(f"c{number}", orderId=f"9{number:015d}") for number in range(300)))
        await until(lambda: outside.topics.outcomes("c299") == ["unknown"])
        outside.group.slow_s = 0.02
        outside.group.write(cancel_all("panic"))
        await until(lambda: sum(own()) == 100)
    first = own().index(True)
    assert all(own()[first : first + 100])
