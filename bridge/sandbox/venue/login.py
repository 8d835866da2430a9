"""The decision on a WebSocket login (LTP docs, User Data Overview; codes of Error Codes)."""

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
    """The code of the answer, and after success the key and whether the connection is for trading only."""

    code: int
    key: ApiKey | None = None
    only_trade: bool = False


def decide_login(backend: VenueBackend, connection: ClientConnection, args: object) -> LoginDecision:
    """Decide on a login, record the decision in the ledger, and return it."""
    given: dict[str, Any] = args if isinstance(args, dict) else {}
    api_key = given.get("apiKey")
    named = api_key if isinstance(api_key, str) else ""
    key = backend.keys.find(named)
    target = FaultTarget(
        action="login",
        account=key.name if key else "",
        tier=connection.tier,
        connection=connection.number,
    )
    code = _decide_code(backend, given, key, named, target)
    decision = LoginDecision(code)
    if code == LOGIN_SUCCESS and key is not None:
        decision = LoginDecision(code, key, given.get("onlyTrade") is True)
    backend.ledger.write(
        EntryKind.LOGIN,
        portfolio_id=key.portfolio_id if key else "",
        connection=connection.number,
        api_key=named,
        code=code,
        only_trade=decision.only_trade,
    )
    return decision


def _decide_code(
    backend: VenueBackend, args: dict[str, Any], key: ApiKey | None, named: str, target: FaultTarget
) -> int:
    if not backend.count_request("login", key, target, named):
        return TOO_OFTEN
    rejected = backend.faults.trigger(FaultKind.REJECT_LOGIN, target)
    if rejected:
        return rejected.fault.code
    code = _find_login_error(args, key, backend.clock.wall_ms(), backend.settings.clock_tolerance_s)
    return LOGIN_FAILED if code and backend.settings.dialect.login_codes == "generic" else code


def _find_login_error(args: dict[str, Any], key: ApiKey | None, now_ms: int, tolerance_s: int) -> int:
    """Return the specific code of the first error in a login; 0 if there is none."""
    timestamp: Any = args.get("timestamp")
    sign: Any = args.get("sign")
    if key is None:
        return 601007
    if not timestamp or not sign:
        return 601018 if timestamp else 601017
    if not isinstance(args.get("onlyTrade", False), bool):
        return 601001
    # The tolerance of a login is undocumented; that of REST is used.
    is_time = isinstance(timestamp, str) and _SECONDS.fullmatch(timestamp) is not None
    if not is_time or abs(now_ms / 1000 - int(timestamp)) > tolerance_s:
        return 601016
    genuine = isinstance(sign, str) and signatures_match(sign_login(key.api_secret, timestamp), sign)
    return LOGIN_SUCCESS if genuine else 601009
