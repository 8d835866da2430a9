"""Every error of the bridge, and whose fault it is.

BridgeError
├── ConfigError          ours to start with: the operator's settings; every problem at once
├── VenueError           LTP said no, or could not be asked
│   ├── VenueRefused     a coded answer; asking again changes nothing
│   ├── VenueUnreachable no answer that can be trusted; what was written may still have happened
│   └── LoginRefused     a coded answer to a login
└── KafkaTrouble         the cluster said no, or could not be asked
    ├── TopicsUnfit      a topic is missing or configured so that the promise cannot be kept
    ├── ClusterUnreachable  no broker answers
    ├── OffsetLost       the commands that come next are not in the topic any more
    ├── ForeignOwner     the account belongs to another environment or another API key
    ├── ForeignMember    a consumer that is no bridge has the partition
    ├── CommitInterrupted   a rebalance ended a commit; it is made again
    └── TermEnded        this process no longer, or no longer surely, owns the account

`retryable` says whether the same step may be tried again by itself.
"""

from collections.abc import Sequence
from typing import ClassVar


def _on_one_line(problem: str) -> str:
    """Keep a problem from looking like two: a broker or a file may have written a part of it."""
    return problem.replace("\r", "\\r").replace("\n", "\\n")


class BridgeError(Exception):
    """Anything the bridge raises on purpose."""

    retryable: ClassVar[bool] = False


class ConfigError(BridgeError):
    """The settings cannot be used; `problems` names each one and what to do about it."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(
            "\n".join(["the configuration cannot be used:", *(f"  - {_on_one_line(p)}" for p in problems)])
        )


class VenueError(BridgeError):
    """The venue refused a request or could not be asked."""


class VenueRefused(VenueError):
    """The venue answered with an error code.

    `code` is the venue's number (LTP docs, Error Codes), `reason` its text.
    """

    def __init__(self, code: int, reason: str, advice: str = "") -> None:
        self.code = code
        self.reason = reason
        super().__init__(f"the venue answered {code}: {reason or 'no text'}" + (f"; {advice}" if advice else ""))


class LoginRefused(VenueRefused):
    """The venue refused a login with a code."""


class VenueUnreachable(VenueError):
    """The venue gave no answer that can be trusted: time-out, dropped link, 5xx, or not its protocol."""

    retryable = True


class RowNotUnderstood(VenueUnreachable):
    """The venue answered a question about one order with what is no order."""


class ListTooLong(VenueUnreachable):
    """A list has more pages than are read at once: ask for a part of it."""


class KafkaTrouble(BridgeError):
    """The Kafka cluster refused a request or could not be asked."""


class TopicsUnfit(KafkaTrouble):
    """Topics are missing or configured so that the promise cannot be kept; `problems` names each."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(["the topics cannot be used:", *(f"  - {_on_one_line(p)}" for p in problems)]))


class ClusterUnreachable(KafkaTrouble):
    """No broker answered in time."""

    retryable = True


class ForeignOwner(KafkaTrouble):
    """The group or its topics belong to another environment, or to an account with another API key."""


class ForeignMember(KafkaTrouble):
    """A consumer that is no bridge is in the account's group and has, or may get, its partition."""

    retryable = True


class TermEnded(KafkaTrouble):
    """This process no longer owns the account, or can no longer be sure that it does.

    The owner stops sending, leaves the group, joins again and takes over anew.
    """

    retryable = True


class CommitInterrupted(KafkaTrouble):
    """A rebalance ended a commit, whose request the next generation fences.

    When the partition comes back, the owner commits its whole state again and goes on; when it does not, the next
    call raises TermEnded.
    """

    retryable = True


class OffsetLost(KafkaTrouble):
    """The log does not hold the offset that comes next: retention removed it, or the topic was made anew.

    `begin` and `end` are what the log holds, `end` excluded; None where the broker could not be asked.
    """

    def __init__(self, topic: str, offset: int, begin: int | None, end: int | None) -> None:
        self.offset, self.begin, self.end = offset, begin, end
        super().__init__(
            f"{topic} does not hold offset {offset}, which comes next: it holds {begin} to {end} (excluded). "
            "Commands in between are lost or the topic was made anew; the group's offset must be set by hand"
        )
