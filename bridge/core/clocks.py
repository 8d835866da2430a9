"""The venue's clock, which dates its orders and rows, and the broker's clock, which stamps the records of our topics.

Neither is assumed to agree with ours, nor with the other. Each is compared with our boot clock, which is never set.
Only here a time of one clock becomes a time of another one, and always as an interval.

A clock is kept as an interval: what every reading so far allows, wider by 200 ppm as it ages, and anew where a reading
contradicts it. So no step of our wall clock moves anything. A time that is compared later is kept as an instant of our
boot clock (when a state was published, a gap began, an audit looked) and becomes Unix time when it is published or
asked for (`Now.unix_ms`).

- The venue's clock is read from pongs and from the `Date` of REST. An unknown place is looked for since the earliest
  time that the venue may have given it; an unknown cancel_orders ends what is surely older; REST should know by now
  what is dated `rest_lag_s` ago at the earliest. While this clock is not known, or not surely within `skew_bound_s` of
  ours, no command is `not_found`; and before it is known, no unknown cancel_orders is done.
- The broker's clock is read from the acknowledgements of `results`: the record was stamped between send and ack. The
  takeover record is the first one, so a new owner knows this clock before it reads a command. A command that arrives
  bounds it too: it was stamped before it came, and after the last fetch that was answered without it
  (`kafka/broker_clock.py`).
- A command is valid until the broker's clock reads its `validUntil`. That clock is an interval, so this happens between
  an earliest and a latest instant. The command's deadline is the earliest one. From the latest instant on, the command
  is `expired`, however far the clocks are apart. If the broker's clock is surely within `skew_bound_s` of ours, the
  bridge sends a command before its deadline, and it is `expired` from the deadline on. If not, the bridge denies a
  place or replace (`clock_unsure`); it sends a cancel or cancel_orders before the deadline, and denies it afterwards.
- The memory of commands and the slots of requests of earlier owners age on our boot clock, from the stamp on; the slots
  are held `skew_bound_s` longer.
"""

from math import ceil, floor, inf
from typing import Final, NamedTuple

from bridge.contract.session import Alarm
from bridge.core.alarms import ActiveAlarms
from bridge.core.now import Now
from bridge.core.skew import ClockReading, Skew, skew_between

UNMEASURED_MS: Final = 60_000
"""The most by which an unread clock may differ from ours: the venue refuses more (LTP docs, code 7000)."""
_DRIFT_MS_PER_S: Final = 0.2
"""The drift of two clocks: 200 ppm at most."""
_RESOLUTION_MS: Final = 2.0
"""Times come in whole milliseconds: a contradiction of so little is none."""
_VISIBLE_AFTER_MS: Final = 1000
"""A record may be stamped so long before readers can fetch it: its replicas must have it first."""
_ACK_TO_RECORD_S: Final = 1.0
"""The longest time by which the record of a result may be stamped before its ack counts at the venue."""
_VENUES: Final = "the venue's"
_BROKERS: Final = "the broker's"


class ReadMs(NamedTuple):
    """The times that another clock may read at one instant of ours, Unix ms."""

    earliest: int
    latest: int


class BootS(NamedTuple):
    """The instants on our boot clock at which another clock may read one time."""

    earliest: float
    latest: float


class MeasuredClock:
    """A clock of another machine, and by how much it is ahead of our boot clock by all readings so far.

    Each reading narrows the interval. A reading that contradicts the others replaces them: the clock was set, or is
    another one now. Before the first reading the clock is assumed to be near our wall clock.
    """

    def __init__(self, now: Now) -> None:
        wall_offset_ms = now.wall_ms - now.boot_s * 1000
        self._low_ms = wall_offset_ms - UNMEASURED_MS
        self._high_ms = wall_offset_ms + UNMEASURED_MS
        self._learned_boot_s = now.boot_s
        self.is_known = False
        """Whether it has been read, so that no assumption bounds it."""
        self._last_read: tuple[float, ReadMs] | None = None

    def learn(self, reading: ClockReading) -> None:
        """Take in a reading."""
        self.narrow_offset(reading.offset_low_ms, reading.offset_high_ms, reading.answered_boot_s)

    def narrow_offset(self, low_ms: float, high_ms: float, at_boot_s: float) -> None:
        """Take in that the clock is ahead of our boot clock by `low_ms` at the least and `high_ms` at the most."""
        known_low_ms, known_high_ms = self._offset_ms(at_boot_s)
        both_low_ms, both_high_ms = max(known_low_ms, low_ms), min(known_high_ms, high_ms)
        is_whole = low_ms > -inf and high_ms < inf
        if both_low_ms <= both_high_ms + _RESOLUTION_MS and (self.is_known or not is_whole):
            self._low_ms, self._high_ms = sorted((both_low_ms, both_high_ms))
        else:
            # A bound on one side shows that the clock was set; the other bound is a guess.
            self._low_ms = low_ms if low_ms > -inf else high_ms - 2 * UNMEASURED_MS
            self._high_ms = high_ms if high_ms < inf else low_ms + 2 * UNMEASURED_MS
            self.is_known = is_whole
        self._learned_boot_s = at_boot_s
        self._last_read = None

    def read_at(self, boot_s: float) -> ReadMs:
        """Return what the clock reads at an instant of our boot clock."""
        if self._last_read is not None and self._last_read[0] == boot_s:
            return self._last_read[1]  # frames that are read together come at one instant
        low_ms, high_ms = self._offset_ms(boot_s)
        read = ReadMs(floor(boot_s * 1000 + low_ms), ceil(boot_s * 1000 + high_ms))
        self._last_read = (boot_s, read)
        return read

    def boot_s_of(self, unix_ms: int) -> BootS:
        """Return when, on our boot clock, the clock reads a time."""
        low_ms, high_ms = self._offset_ms((unix_ms - self._low_ms) / 1000)
        return BootS((unix_ms - high_ms) / 1000, (unix_ms - low_ms) / 1000)

    def skew(self, now: Now) -> Skew:
        """Return how far our wall clock is from this clock."""
        return skew_between(*self._offset_ms(now.boot_s), now)

    def is_within(self, bound_s: float, now: Now) -> bool:
        """Whether the clock was read, and our wall clock certainly differs from it by no more than `bound_s`."""
        return self.is_known and self.skew(now).within(bound_s)

    def exceeds(self, bound_s: float, now: Now) -> bool:
        """Whether the clock was read, and our wall clock certainly differs from it by more than `bound_s`."""
        return self.is_known and self.skew(now).exceeds(bound_s)

    def _offset_ms(self, boot_s: float) -> tuple[float, float]:
        drift_ms = abs(boot_s - self._learned_boot_s) * _DRIFT_MS_PER_S
        return self._low_ms - drift_ms, self._high_ms + drift_ms


class Clocks:
    """The venue's clock and the broker's, as one term has measured them, and what follows for its decisions."""

    def __init__(self, alarms: ActiveAlarms, now: Now, *, skew_bound_s: float, rest_lag_s: float) -> None:
        self.began = now
        """The instant at which the term began."""
        self.venue = MeasuredClock(now)
        self.broker = MeasuredClock(now)
        self._alarms = alarms
        self._bound_s = skew_bound_s
        self._bound_ms = int(skew_bound_s * 1000)
        self.rest_lag_ms = int(rest_lag_s * 1000) + self._bound_ms
        """How far REST may be behind the stream, with clocks of the venue that differ."""
        self._last_command = (0, -inf)

    def learn_venue_time(self, reading: ClockReading, now: Now) -> None:
        """Take in a reading of the venue's clock."""
        self.venue.learn(reading)
        self._check_skew(self.venue, Alarm.CLOCK_SKEW, _VENUES, now)

    def learn_broker_time(self, reading: ClockReading, now: Now) -> None:
        """Take in the append time that a broker acknowledged for a record of ours."""
        self.broker.learn(reading)
        self._check_skew(self.broker, Alarm.BROKER_CLOCK_SKEW, _BROKERS, now)

    def command_arrived(self, timestamp_ms: int, absent_boot_s: float, now: Now) -> None:
        """Take in a command's append time: it was stamped before now, and after the topic was read without it."""
        command = (timestamp_ms, absent_boot_s)
        if timestamp_ms <= 0 or command == self._last_command:
            return  # the record could not be read; or an earlier record of the same times says more
        self._last_command = command
        low_ms = timestamp_ms - now.boot_s * 1000
        high_ms = timestamp_ms + 1 + _VISIBLE_AFTER_MS - absent_boot_s * 1000
        self.broker.narrow_offset(low_ms, high_ms, now.boot_s)
        self._check_skew(self.broker, Alarm.BROKER_CLOCK_SKEW, _BROKERS, now)

    def may_conclude_not_found(self, now: Now) -> bool:
        """Whether the venue's clock was read and is near enough to ours to conclude that something did not happen.

        Raises an alarm where it was not read, because no command is given up then.
        """
        if not self.venue.is_known:
            text = "no answer of the venue's has told its time, so no command is said to be not_found"
            self._alarms.raise_alarm(Alarm.CLOCK_SKEW, text, now)
        return self.venue.is_within(self._bound_s, now)

    def trusts_broker(self, now: Now) -> bool:
        """Whether the broker's clock was read and is near enough to ours for decisions by its stamps."""
        return self.broker.is_within(self._bound_s, now)

    def describe_broker(self, now: Now) -> str:
        """Return how far the broker's clock is from ours, as text."""
        if not self.broker.is_known:
            return "what the broker stamps and when it comes contradict each other"
        return self.broker.skew(now).describe(_BROKERS)

    def broker_now(self, now: Now) -> Now:
        """Return this instant with the latest time that the broker's clock may read as the wall clock's."""
        return Now(now.boot_s, self.broker.read_at(now.boot_s).latest)

    def broker_error_s(self, now: Now) -> float:
        """Return how far apart the earliest and the latest time are that the broker's clock may read."""
        read = self.broker.read_at(now.boot_s)
        return (read.latest - read.earliest) / 1000

    def appended_boot_s(self, timestamp_ms: int, now: Now) -> float:
        """Return when, at the latest, a record was stamped on our boot clock."""
        return min(self.broker.boot_s_of(timestamp_ms).latest, now.boot_s)

    def ack_counted_boot_s(self, result_timestamp_ms: int, now: Now) -> float:
        """Return until when, at the latest, the request may have counted whose result was stamped so."""
        latest = self.broker.boot_s_of(result_timestamp_ms).latest
        return min(latest + self._bound_s + _ACK_TO_RECORD_S, now.boot_s)

    def latest_write_boot_s(self, deadline_boot_s: float, now: Now) -> float:
        """Return until when an earlier owner may have written a command of this deadline: before now, while valid."""
        return min(now.boot_s, deadline_boot_s + self.broker_error_s(now) + self._bound_s)

    def happened_since_ms(self, first_written_boot_s: float | None, appended_ms: int) -> int:
        """Return the venue's earliest date for what a command asked for, by its first write, or its append."""
        since_boot_s = first_written_boot_s
        if since_boot_s is None:
            since_boot_s = self.broker.boot_s_of(appended_ms).earliest
        return self.venue.read_at(since_boot_s).earliest - self._bound_ms

    def certainly_older_ms(self, timestamp_ms: int) -> int:
        """Return the venue's time before which everything is surely older than a record of that append time."""
        appended_boot_s = self.broker.boot_s_of(timestamp_ms).earliest
        return self.venue.read_at(appended_boot_s).earliest - self._bound_ms

    def read_venue(self, now: Now) -> ReadMs:
        """Return what the venue's clock reads now; an unread clock is assumed not to be behind ours."""
        if self.venue.is_known:
            return self.venue.read_at(now.boot_s)
        return ReadMs(now.wall_ms, now.wall_ms + UNMEASURED_MS)

    def latest_date_ms(self, now: Now) -> int:
        """Return the latest time that the venue can have written by now, with any of its clocks."""
        return self.venue.read_at(now.boot_s).latest + self._bound_ms

    def rest_complete_until_ms(self, now: Now) -> int:
        """Return the venue's time up to which its REST surely has everything that the venue has dated."""
        return self.venue.read_at(now.boot_s).earliest - self.rest_lag_ms

    def _check_skew(self, clock: MeasuredClock, alarm: Alarm, whose: str, now: Now) -> None:
        skew = clock.skew(now)
        if clock.exceeds(self._bound_s, now):
            text = f"{skew.describe(whose)}, and {self._bound_s:g} s is the most that may be; check NTP"
            self._alarms.raise_alarm(alarm, text, now)
        elif clock.is_within(self._bound_s, now):
            self._alarms.clear_alarm(alarm, skew.describe(whose), now)
        elif not clock.is_known:
            self._alarms.raise_alarm(alarm, self.describe_broker(now), now)
