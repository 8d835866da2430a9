"""Judging a WebSocket login (LTP docs, User Data Overview; codes of Error Codes)."""

import re
from typing import Any

import msgspec

from bridge.sandbox.venue.backend import VenueBackend
from bridge.sandbox.venue.codes import LOGIN_FAILED, LOGIN_SUCCESS
from bridge.sandbox.venue.connection import ClientConnection
from bridge.sandbox.venue.faults import FaultKind, FaultTarget
from bridge.sandbox.venue.keys import ApiKey, sign_login, signatures_match
from bridge.sandbox.venue.ledger import EntryKind

TOO_OFTEN = 601010
_SECONDS = re.compile(r"[0-9]{1,12}", re.ASCII)


class LoginDecision(msgspec.Struct, frozen=True):
    """The code of the answer, and on success the key and whether the connection is for trading only."""

    code: int
    key: ApiKey | None = None
    only_trade: bool = False


def decide_login(floor: VenueBackend, connection: ClientConnection, args: object) -> LoginDecision:
    """Decide about a login and write it to the ledger."""
    given: dict[str, Any] = args if isinstance(args, dict) else {}
    api_key = given.get("apiKey")
    named = api_key if isinstance(api_key, str) else ""
    key = floor.keys.find(named)
    target = FaultTarget(
        action="login",
        account=key.name if key else "",
        tier=connection.tier,
        connection=connection.number,
    )
    code = _code(floor, given, key, named, target)
    verdict = LoginDecision(code)
    if code == LOGIN_SUCCESS and key is not None:
        verdict = LoginDecision(code, key, given.get("onlyTrade") is True)
    floor.ledger.write(
        EntryKind.LOGIN,
        portfolio_id=key.portfolio_id if key else "",
        connection=connection.number,
        api_key=named,
        code=code,
        only_trade=verdict.only_trade,
    )
    return verdict


def _code(floor: VenueBackend, args: dict[str, Any], key: ApiKey | None, named: str, target: FaultTarget) -> int:
    if not floor.count_request("login", key, target, named):
        return TOO_OFTEN
    rejected = floor.faults.trigger(FaultKind.REJECT_LOGIN, target)
    if rejected:
        return rejected.fault.code
    code = _wrong(args, key, floor.clock.wall_ms(), floor.settings.clock_tolerance_s)
    return LOGIN_FAILED if code and floor.settings.dialect.login_codes == "generic" else code


def _wrong(args: dict[str, Any], key: ApiKey | None, now_ms: int, tolerance_s: int) -> int:
    """Return what is wrong with a login in the specific codes, 0 when nothing is."""
    timestamp: Any = args.get("timestamp")
    sign: Any = args.get("sign")
    if key is None:
        return 601007
    if not timestamp or not sign:
        return 601018 if timestamp else 601017
    if not isinstance(args.get("onlyTrade", False), bool):
        return 601001
    # The tolerance of a login is undocumented; the one of REST is taken.
    is_time = isinstance(timestamp, str) and _SECONDS.fullmatch(timestamp) is not None
    if not is_time or abs(now_ms / 1000 - int(timestamp)) > tolerance_s:
        return 601016
    genuine = isinstance(sign, str) and signatures_match(sign_login(key.api_secret, timestamp), sign)
    return LOGIN_SUCCESS if genuine else 601009
