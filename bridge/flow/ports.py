"""What flow needs of the venue and of Kafka, as protocols. `app.py` passes the real parts; tests pass others."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from typing import Protocol

from bridge.contract.session import Cause
from bridge.contract.topics import Stream
from bridge.core.now import Now
from bridge.core.records import CommandRecord, Committed, OutgoingRecord, Rows, TopicRecord
from bridge.core.rest_rows import OrderRow, TradeRow
from bridge.core.skew import ClockReading
from bridge.core.topic_losses import LostTopic, MissingGrant

Clock = Callable[[], Now]
EncodeAction = Callable[[str, str, Mapping[str, str]], bytes]
"""Request id, action and arguments to a frame."""


class VenueSession(Protocol):
    """A session that keeps itself alive."""

    @property
    def logged_in(self) -> bool:
        """Whether the venue accepted the login and the session has not ended since."""

    @property
    def last_frame_boot_s(self) -> float:
        """When the last frame came, a pong included; before all time without one."""

    def ready_to_write(self, now: Now) -> bool:
        """Whether a command may be written: logged in, pong fresh, nothing unsent."""

    def login_due(self, now: Now) -> bool:
        """Whether another login with the same key would keep its distance from the last."""

    def send(self, frame: bytes) -> None:
        """Hand a frame to the transport before returning. Raises VenueUnreachable; then nothing was written."""

    def drop(self, cause: Cause, detail: str) -> None:
        """End the connection; the session connects again."""

    async def run(self) -> None:
        """Keep the session until cancelled. Raises LoginRefused when the venue will not take this key."""


class VenueRest(Protocol):
    """The venue's REST calls. Each raises VenueRefused, or VenueUnreachable where asking again may help.

    They may run at the same time; each waits for its turn within the venue's limits. A list comes a few rows at a time.
    """

    @property
    def clock_reading(self) -> ClockReading | None:
        """The reading of the venue's clock in its last answer; None without one."""

    @property
    def key_problem(self) -> str | None:
        """Which file of the key cannot be used now, and why; None when all can."""

    @property
    def slowed_limits(self) -> Sequence[str]:
        """The limits of which less is used than before the venue refused a request for its rate."""

    def prefer(self, endpoint: str) -> None:
        """Begin reading at the endpoint of this name, until it is silent."""

    def fetch_open_orders(self) -> AsyncIterator[Rows[OrderRow]]:
        """Return every open order."""

    async def fetch_order(self, *, order_id: str | None = None, client_order_id: str | None = None) -> OrderRow | None:
        """Return one order; None when the venue says that there is none."""

    def fetch_ended_orders(
        self, sym: str | None, begin_ms: int, end_ms: int | None = None
    ) -> AsyncIterator[Rows[OrderRow]]:
        """Return the orders of a symbol or of all that are over, created between two times; 90 days back at most."""

    def fetch_executions(
        self, sym: str | None, begin_ms: int, end_ms: int | None = None
    ) -> AsyncIterator[Rows[TradeRow]]:
        """Return the executions of a symbol or of all between two times; 90 days back at most."""

    def fetch_order_executions(self, order_id: str, begin_ms: int) -> AsyncIterator[Rows[TradeRow]]:
        """Return the executions of one order since a time."""

    def fetch_assets(self) -> AsyncIterator[Rows[bytes]]:
        """Return the balance of every coin, in the shape of its push."""

    def fetch_positions(self) -> AsyncIterator[Rows[bytes]]:
        """Return every open position, in the shape of its push."""

    def fetch_account_risks(self) -> AsyncIterator[Rows[bytes]]:
        """Return the risk of each exchange account, in the shape of a margin call."""


class Publisher(Protocol):
    """Publishes records in order. `publish` returns at once."""

    @property
    def overfull(self) -> bool:
        """Whether more events wait than may be held in memory."""

    @property
    def is_draining(self) -> bool:
        """Whether many pushes wait for topics that brokers are taking pushes of, so that waiting makes room."""

    async def wait_for_room(self) -> bool:
        """Return False if further pushes may be read; otherwise wait for a moment and return True."""

    @property
    def answer_bytes(self) -> int:
        """How many bytes of memory the results and dead letters take that are not durable."""

    @property
    def healthy(self) -> bool:
        """Whether records become durable in time."""

    @property
    def clock_reading(self) -> ClockReading | None:
        """The reading of the broker's clock in its last acknowledgement; None without one."""

    @property
    def oldest_wait_s(self) -> float:
        """For how long the oldest record that is not durable has waited, or a topic been unwritable; 0 without any."""

    @property
    def stuck_streams(self) -> Collection[Stream]:
        """The streams that take nothing: all while brokers are in trouble."""

    @property
    def problems(self) -> Sequence[str]:
        """Why records are not published, topic by topic, as text for people."""

    @property
    def renewals(self) -> int:
        """How often the producer was replaced, and the records without an acknowledgement sent again by the new one."""

    def begin_epoch(self, epoch: int, on_durable: Callable[[Sequence[OutgoingRecord]], None]) -> None:
        """Stamp this epoch from now on; sequences begin at 1. `on_durable` gets the answers that become durable."""

    def publish(self, record: OutgoingRecord) -> None:
        """Queue a record."""

    def oldest_pending_boot_s(self) -> float | None:
        """Return when the oldest event was received that is not durable; None without one."""

    async def flush(self, timeout_s: float, streams: Collection[Stream] | None = None) -> bool:
        """Wait until what is queued of these streams, or of all, is durable; False when time ran out.

        A topic that takes nothing holds up its waiters: wait only for the topics that the next step needs.
        """


class TopicWatch(Protocol):
    """Watches the account's topics."""

    def lost_topics(self) -> Sequence[LostTopic]:
        """Return the topics that were lost; a mended one is among them until `told` is called with it."""

    def missing_grants(self) -> Sequence[MissingGrant]:
        """Return the grants on topics that this process needs and does not have."""

    def mark_reported(self, topic: str) -> None:
        """Note that everything has been published about a lost topic that was mended."""


class Membership(Protocol):
    """One member of the account's group: the seam behind which it is decided who owns the account.

    An implementation says whether this member owns it, and that no other has since; and refuses the commit of a member
    that does not. Only the implementation knows which group protocol decides it.
    """

    @property
    def owned(self) -> bool:
        """Whether the group has assigned the partition to this member, and has not revoked it since."""

    @property
    def position(self) -> int:
        """The next offset to read."""

    @property
    def known_end(self) -> int:
        """The offset behind the last record, as of the last fetch."""

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of this member's term, so that a rebalance leaves the partition with it."""

    async def join(self) -> None:
        """Join the group."""

    async def wait_owned(self) -> None:
        """Wait until the partition is assigned to this member."""

    async def wait_hand_over_asked(self) -> None:
        """Wait until the owner is asked to end its term in good order, because another is to own the account."""

    async def committed(self) -> Committed:
        """Read what is committed."""

    async def commit(self, offset: int, metadata: str, timeout_s: float) -> None:
        """Commit once, in one generation; raises CommitInterrupted or TermEnded."""

    async def poll(self, timeout_s: float) -> list[CommandRecord]:
        """Read on; raises TermEnded when the partition is no longer ours."""

    def seek(self, offset: int) -> None:
        """Read from this offset on."""

    def pause(self) -> None:
        """Read nothing for now."""

    def resume(self) -> None:
        """Read again."""

    async def topic_id(self) -> str:
        """Return the id of the commands topic, which it gets anew when it is made again; empty where none is told."""

    async def begin_offset(self) -> int:
        """Return the first offset that the topic still holds."""

    async def end_offset(self) -> int:
        """Return the offset behind the last record."""

    async def leave(self) -> None:
        """Leave the group, so that another member takes over at once."""


ReadTail = Callable[[str, int, Callable[[Sequence[TopicRecord]], None]], Awaitable[None]]
"""Topic and Unix ms: hands over the records from then on to the topic's present end, a small part at a time."""
ReadLast = Callable[[str, Callable[[Sequence[TopicRecord]], None]], Awaitable[int]]
"""Topic: hands over its last records, a small number; returns its end offset, 0 where it never held any."""

ReadCommands = Callable[[int, int, Callable[[Sequence[CommandRecord]], Awaitable[None]]], Awaitable[None]]
"""Begin and end: hands over the commands of these offsets, a small part at a time, each when the one before is done."""
