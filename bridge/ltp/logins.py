"""The logins of one session: their frames, the time between them, and the secrets that no text may show."""

from msgspec import structs

from bridge.config import AccountConfig, Timing
from bridge.contract.session import Cause
from bridge.core.now import Now
from bridge.core.records import InvalidFrame
from bridge.core.skew import ClockReading
from bridge.errors import LoginRefused, VenueUnreachable
from bridge.ltp import codes, wire
from bridge.ltp.connection import LinkEnded
from bridge.ltp.keys import read_keys
from bridge.ltp.protocol import LoginRejected
from bridge.ltp.signing import login_signature, mask_secrets


class Logins:
    """The logins with the key of one account.

    `other_login_boot_s` is when another program may last have logged in with this key, in CLOCK_BOOTTIME seconds.
    """

    def __init__(self, account: AccountConfig, timing: Timing, other_login_boot_s: float) -> None:
        self._account = account
        self._spacing_s = timing.login_spacing_s
        self._is_pending = False
        self._next_boot_s = other_login_boot_s + timing.login_spacing_s
        self._last_timestamp_s = 0
        self._keys: tuple[str, str] | None = None
        self._secrets: tuple[str, ...] = ()

    @property
    def next_boot_s(self) -> float:
        """When the next login may be sent, in CLOCK_BOOTTIME seconds."""
        return self._next_boot_s

    def is_due(self, now: Now) -> bool:
        """Return whether a login sent now would keep its distance from the last one."""
        return not self._is_pending and now.boot_s >= self._next_boot_s

    def make_frame(self, now: Now) -> bytes:
        """Return the frame of the next login. Raises LinkEnded when the key cannot be read."""
        try:
            key, secret = read_keys(self._account)
        except VenueUnreachable as error:
            raise LinkEnded(Cause.LOGIN_REFUSED, str(error)) from None
        timestamp_s = now.wall_ms // 1000
        if timestamp_s == self._last_timestamp_s:
            timestamp_s += 1  # the venue could take a second equal login for a replay
        self._last_timestamp_s = timestamp_s
        self._is_pending = True
        sign = login_signature(secret, timestamp_s)
        self._keys = (key, secret)
        self._secrets = (key, secret, sign)
        return wire.encode_login(key, timestamp_s, sign)

    def note_answer(self, now: Now) -> None:
        """Note that a login was answered: the time to the next one counts from here."""
        self._is_pending = False
        self._next_boot_s = now.boot_s + self._spacing_s

    def note_end(self, now: Now) -> None:
        """Note that the connection ended; a login without an answer counts as answered now."""
        if self._is_pending:
            self.note_answer(now)

    def has_new_key(self) -> bool:
        """Return whether the account's files hold another key than the last login used."""
        try:
            return read_keys(self._account) != self._keys
        except VenueUnreachable:
            return False  # a file is being replaced

    def mask_text(self, text: str) -> str:
        """Return a text of the venue's without key, secret and signature, which it may quote."""
        return mask_secrets(text, *self._secrets)

    def mask_frame(self, invalid: InvalidFrame) -> InvalidFrame:
        """Return a frame without key, secret and signature: it is published whole, and a peer may echo a login."""
        frame = invalid.frame
        for secret in self._secrets:
            frame = frame.replace(secret.encode(), b"***")
        return structs.replace(invalid, frame=frame)

    def describe_refusal(self, rejected: LoginRejected, reading: ClockReading | None, now: Now) -> LoginRefused:
        """Return the error for a refused login, with what a person should do about it."""
        skew = reading.skew(now).describe() if reading is not None else ""
        advice = "; ".join(filter(None, (codes.find_advice(rejected.code), skew)))
        return LoginRefused(rejected.code, self.mask_text(rejected.message), advice)
