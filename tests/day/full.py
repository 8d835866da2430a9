"""What one account takes in memory when everything that it may remember is there. Prints a JSON object of MiB."""

import json
import sys

from bridge.account_parts import clock
from bridge.config.limits import Limits
from bridge.contract.commands import PLACE
from bridge.contract.results import Outcome, Result
from bridge.contract.topics import Stream
from bridge.core import orders, packed, replacements
from bridge.core.account import Account
from bridge.core.commands.claims import TermStart
from bridge.core.now import Now
from bridge.core.outbox import Outbox
from bridge.core.packed import RecentNumbers, digest
from bridge.core.records import OutgoingRecord, Push
from bridge.core.stream import published_states, published_trades
from bridge.kafka.topic_queue import TopicQueue
from tests.support.clock_readings import read_clocks
from tests.support.one_account import COMMANDS, LIMITS, START, TIMING
from tests.support.one_day import order_row, resident_mib

OPEN_ORDERS = 5000


def fill_numbers(numbers: RecentNumbers, least: int) -> None:
    """Put as many as are ever remembered."""
    for n in range(least // (packed._GENERATIONS - 1) * packed._GENERATIONS):
        numbers.put(digest(f"{n}"), 1, 1)


def fill_tables(account: Account, now: Now) -> None:
    """Fill what is remembered of trades and orders, with as many open orders as the README says."""
    listening = account.stream
    fill_numbers(listening._router.trades._contents, published_trades._TRADES_MAX)
    fill_numbers(listening._router.states._ended_names, published_states._ENDED_NAMES_MAX)
    listening._router.trades._conflicts.update(digest(f"{n}") for n in range(published_trades._CONFLICTS_MAX))
    ended = max(orders._ENDED_MAX, published_states._ENDED_MAX)
    for n in range(OPEN_ORDERS + ended):
        row = order_row(f"17{n:014}", "OPEN" if n < OPEN_ORDERS else "FILLED", now.wall_ms, now.wall_ms)
        account.on_frame(Push("Orders", row, row), now)
    for n in range(orders._UNPUSHED_MAX):
        account._orders.note_ack(f"16{n:014}", f"unshown-{n:018}", "BINANCE_PERP_ETH_USDT", now.wall_ms)
        account._orders.replacements.note_request(f"15{n:014}", now.wall_ms)
    for n in range(replacements._SUCCESSORS_MAX):
        account._orders.replacements.note_successor(f"14{n:014}", f"13{n:014}")


def fill_answers(account: Account, now: Now) -> None:
    """Let an earlier owner have answered as many commands as are remembered."""
    first = 0
    while not account._index.is_full:
        some = []
        for offset in range(first, first + 1000):
            name = f"{offset:026}"
            result = Result(name, offset, Outcome.ACCEPTED, now.wall_ms, PLACE, client_order_id=name, message="m" * 200)
            some.append((result, now.wall_ms - 3_000_000 + offset))
        account.restore(some, now)
        first += 1000


def fill_buffer(lane: TopicQueue) -> None:
    """Let as many pushes wait for Kafka as may."""
    n = 0
    while lane.pending_bytes <= Limits().event_buffer_bytes_max:
        n += 1
        order_id, at_ms = f"17{n:014}", START.wall_ms + n
        value, name = order_row(order_id, "OPEN", at_ms, at_ms), f"order:{order_id}:OPEN:0:{at_ms}"
        record = OutgoingRecord(Stream.ORDERS, order_id.encode(), value, at_ms, name, received_boot_s=float(n))
        lane.add(record, epoch=1, now_monotonic_s=float(n))


def main() -> None:
    """Fill one after the other, and tell what each takes."""
    now = clock()  # of the daemon's, so that what it imports is in memory
    outbox = Outbox("main", lambda _: None)
    account = Account(outbox, COMMANDS, LIMITS, TIMING, TermStart(1, 0), now=now)
    read_clocks(account, now)
    lane = TopicQueue("ltp.main.orders")
    told = {"process": resident_mib()}
    fill_tables(account, now)
    told["with_tables"] = resident_mib()
    fill_answers(account, now)
    told["with_answers"] = resident_mib()
    fill_buffer(lane)
    told["with_buffer"] = resident_mib()
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
