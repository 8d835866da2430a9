"""Switches for the points where the venue's documents contradict each other or production; a dialect is a set of them.

The default of every switch is what the newest official page says, where one says anything.
"""

from types import MappingProxyType
from typing import Final, Literal

import msgspec

CancelAllScope = Literal["portfolio", "rest", "user"]
TradingFee = Literal["sent", "pushed", "gone"]
Rebate = Literal["fill", "order"]


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """The form of the venue's messages. The comment of each switch names the sources of its values."""

    # Login: User Data Overview has id and data, the contest's pages neither, older pages and the SDKs the code "0".
    login_success: Literal["current", "brief", "string_code"] = "current"
    # User Data Overview answers under the event `login`, older pages under `error` with the code "60009".
    login_failure: Literal["current", "older"] = "current"
    # 60009 for everything (User Data Overview), or the codes that Error Codes lists for logins.
    login_codes: Literal["generic", "specific"] = "generic"
    # Acks: a number by the pages of the actions, text by the constants of the SDKs.
    ack_code: Literal["number", "text"] = "number"
    # Refusals of actions: a code of Error Codes under the action's event, or `error` and "60009" for all of them.
    action_failure: Literal["current", "older"] = "current"
    # JSON by User Data Overview, the text "ping" by the contest's pages, the SDKs and the clients in production.
    heartbeat: Literal["both", "json", "text"] = "both"
    # The rule of 30 s is worded twice: while both are silent, or while the client is.
    inactivity: Literal["both_silent", "client_silent"] = "both_silent"
    # Enum Definitions: REJECT, CANCELLED. The contest's pages and the Java SDK: REJECTED. The CLI: CANCELED as well.
    order_states: Literal["official", "rejected", "synonyms"] = "official"
    # The contest's pages show pushes without instId, and of an order LIMIT as its orderType, where others have DMA.
    order_pushes: Literal["official", "contest"] = "official"
    # Without a hedge: NONE by the pages, NET by the default of the Java SDK.
    net_side: Literal["NONE", "NET"] = "NONE"
    # Without positions uniMMR is 999999 (Get Started) or 99999999 (the SDKs).
    no_risk: Literal["999999", "99999999"] = "999999"
    # liqPrice was removed by the change log of 2026-01-09, and is on newer pages.
    liq_price: Literal["sent", "gone"] = "sent"
    # Place Order: lower case and digits, 32 at most. Error Codes: letters and digits, 63. The contest: 40, with dashes.
    client_order_ids: Literal["place_page", "error_codes", "contest"] = "place_page"
    # Taken for ever, or while its order is open: no page says which.
    client_order_id_unique: Literal["forever", "while_open"] = "forever"
    # 401009 by Error Codes; 406010 by the contest's, where it is another thing in Error Codes.
    duplicate_code: Literal[401009, 406010] = 401009
    # The contest's page lets a replace name its order by clientOrderId; Replace Order and the SDKs by orderId alone.
    replace_by_client_order_id: bool = True
    # LAST_PRICE and MARK_PRICE by Place Order, MARKET_PRICE in the Java SDK, LastPrice and MarkPrice for the contest.
    trigger_types: Literal["place_page", "sdk", "contest"] = "place_page"
    # cancel_orders over the socket: by exchange alone, or by symbol too (the contest's page).
    batch_cancel_honours_sym: bool = False
    # Whose orders a cancel-all without portfolioId ends: the key's portfolio's, the user's over REST (Cancel All), or
    # the user's over the socket too (which no page excludes).
    cancel_all_scope: CancelAllScope = "rest"
    # tradingFee: announced to go from REST after 2026-11-15; the push may follow, with the split in its place.
    trading_fee: TradingFee = "sent"
    # A rebate over REST: of the fill, or of the whole order so far (seen in production).
    rebate: Rebate = "fill"
    # Success over REST: 200000, or 200 (Get Started names both).
    rest_success_code: Literal[200, 200000] = 200000
    # A coded failure over REST: HTTP 200, or 400 (Error Codes lists it among the statuses).
    rest_failure_status: Literal[200, 400] = 200


DIALECTS: Final = MappingProxyType(
    {
        "documented": Dialect(),
        "observed": Dialect(
            login_codes="specific",
            heartbeat="text",
            cancel_all_scope="user",
            rebate="order",
        ),
        "older": Dialect(
            login_success="string_code",
            login_failure="older",
            ack_code="text",
            action_failure="older",
            heartbeat="text",
            inactivity="client_silent",
            order_states="synonyms",
            net_side="NET",
            no_risk="99999999",
            liq_price="gone",
            client_order_ids="error_codes",
            replace_by_client_order_id=False,
            trigger_types="sdk",
            rest_success_code=200,
            rest_failure_status=400,
        ),
        "contest": Dialect(
            login_success="brief",
            heartbeat="text",
            order_states="rejected",
            order_pushes="contest",
            client_order_ids="contest",
            duplicate_code=406010,
            trigger_types="contest",
            batch_cancel_honours_sym=True,
            cancel_all_scope="portfolio",
        ),
    }
)
"""The dialects by their `--dialect` names: the newest official pages; what production shows; older pages and the
vendor's SDKs; the pages of the vendor's contest."""
