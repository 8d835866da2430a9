"""Every error of the bridge, by who can repair it: the operator, LTP, or the Kafka cluster.

BridgeError
├── ConfigError              the operator's settings cannot be used; the error lists every problem
├── VenueError               LTP refused a request or gave no answer
│   ├── VenueRefused         an answer with an error code; a retry would get the same answer
│   │   └── LoginRefused     an answer with an error code to a login
│   └── VenueUnreachable     no answer that can be trusted; a written request may still have had its effect
│       ├── RowNotUnderstood an answer about one order that holds no order
│       └── ListTooLong      a list with more pages than the bridge reads at once
└── KafkaTrouble             the cluster refused a request or gave no answer
    ├── TopicsUnfit          a topic is missing, or its configuration cannot keep the promises of the README
    ├── ClusterUnreachable   no broker answers
    ├── OffsetLost           the topic no longer holds the next command
    ├── ForeignOwner         the account belongs to another environment or another API key
    ├── ForeignMember        a consumer that is no bridge has the partition
    ├── CommitInterrupted    a rebalance ended a commit; the owner repeats it
    └── TermEnded            this process no longer owns the account, or cannot be sure that it does

`retryable` only picks how the account's supervisor logs the end of a term: as the warning `term.ended` if it is True,
as the error `term.failed` if not. Callers decide about retries by the type of the error.
"""

from collections.abc import Sequence
from typing import ClassVar


def _on_one_line(problem: str) -> str:
    """Escape line ends, so that one problem stays one line: a broker or a file may have written a part of it."""
    return problem.replace("\r", "\\r").replace("\n", "\\n")


class BridgeError(Exception):
    """The base of every error that the bridge raises on purpose."""

    retryable: ClassVar[bool] = False


class ConfigError(BridgeError):
    """The settings cannot be used; `problems` says what is wrong with each and what to do."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(
            "\n".join(["the configuration cannot be used:", *(f"  - {_on_one_line(p)}" for p in problems)])
        )


class VenueError(BridgeError):
    """The venue refused a request or gave no answer."""


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
    """The venue gave no answer that can be trusted: time-out, lost link, HTTP 5xx, or not its protocol."""

    retryable = True


class RowNotUnderstood(VenueUnreachable):
    """The venue's answer to a query about one order holds no order."""


class ListTooLong(VenueUnreachable):
    """A list has more pages than the bridge reads at once. The caller must ask for a part of it."""


class KafkaTrouble(BridgeError):
    """The Kafka cluster refused a request or gave no answer."""


class TopicsUnfit(KafkaTrouble):
    """Topics are missing, or their configuration cannot keep the promises of the README; `problems` names each."""

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

    The owner stops sending, leaves the group, joins it again and takes over again.
    """

    retryable = True


class CommitInterrupted(KafkaTrouble):
    """A rebalance ended a commit; the group's next generation refuses the request.

    If the partition comes back, the owner commits its whole state again and goes on. If not, the next call raises
    TermEnded.
    """

    retryable = True


class OffsetLost(KafkaTrouble):
    """The topic does not hold the next offset: retention removed it, or somebody deleted and made the topic again.

    The topic holds the offsets from `begin` to `end`, `end` excluded; None when no broker answered.
    """

    def __init__(self, topic: str, offset: int, begin: int | None, end: int | None) -> None:
        self.offset, self.begin, self.end = offset, begin, end
        super().__init__(
            f"{topic} does not hold the next offset {offset}: it holds {begin} to {end} (excluded). Commands in "
            "between are lost, or the topic was deleted and made again; set the group's offset by hand"
        )
