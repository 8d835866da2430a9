"""What one account asks the venue's REST about single orders: unknown commands, and orders that it does not know."""

from collections.abc import Iterable

from bridge.core.account_wings import AccountWings
from bridge.core.in_flight.query_memory import QueryKind
from bridge.core.in_flight.query_schedule import StatusQuery
from bridge.core.now import Now


class AccountQueries(AccountWings):
    """What `flow` asks REST for, and what follows from the answers."""

    def has_queries(self, now: Now) -> bool:
        """Whether something is to be asked now."""
        return bool(self.intake.list_lookups()) or self.unknown.wake_at_boot_s() <= now.boot_s

    def lookups(self) -> list[str]:
        """Return the clientOrderIds of replaces that wait and whose order is not known here."""
        return self.intake.list_lookups()

    def order_looked_up(self, client_order_id: str, now: Now) -> bool:
        """Go on with the replaces of an order, after the venue was asked; return False if it is to be asked again."""
        return self.intake.finish_lookup(client_order_id, now)

    def lookup_failed(self, client_order_id: str) -> None:
        """Ask for the others first: the venue gave no answer about this one."""
        self.intake.postpone_lookup(client_order_id)

    def all_queries(self) -> list[StatusQuery]:
        """Return what to ask about every unknown command, the oldest first."""
        return self.unknown.list_queries()

    def pop_due_queries(self, now: Now) -> list[StatusQuery]:
        """Return a few queries to ask now. A command that stays unknown comes again, after ever longer pauses."""
        return self.unknown.pop_due_queries(now)

    def kind_of_query(self, query: StatusQuery, now: Now) -> QueryKind | None:
        """Return what to ask for now; None where the command is not unknown any more."""
        return self.query_memory.kind_of(query, now) if self.table.find_queried(query.offset) is not None else None

    def on_open_orders(self, listed: Iterable[str], asked_boot_s: float, now: Now) -> None:
        """Learn the orderIds of the venue's whole list of open orders, which was asked for at `asked_boot_s`.

        Its rows were learnt from before.
        """
        self.unknown.on_open_orders(listed, asked_boot_s, now)

    def search_since_ms(self, query: StatusQuery) -> int | None:
        """Return from when on the symbol of a place is to be searched, Unix ms; None where it need not be."""
        if self.table.find_queried(query.offset) is None or not self.query_memory.needs_search(query):
            return None
        return self.unknown.oldest_write_ms(query.sym or "")

    def symbol_searched(self, query: StatusQuery, since_ms: int, asked_boot_s: float) -> None:
        """Note that history and executions of a symbol were searched, at `asked_boot_s`, and their rows learnt from."""
        self.query_memory.searched(query.sym or "", since_ms, asked_boot_s)

    def query_answered(self, query: StatusQuery, now: Now) -> None:
        """Settle a command that is still unknown, if the venue's answer proves it; the rows were learnt before."""
        self.query_memory.answered(query)
        self.unknown.query_answered(query, now)

    def query_refused(self, query: StatusQuery, now: Now) -> None:
        """Note that the venue refuses to speak of an order."""
        self.query_memory.refused(query, now)
