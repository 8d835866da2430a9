"""The two signatures, against vectors computed elsewhere."""

import pytest

from bridge.sandbox.venue.keys import (
    ApiKey,
    KeyRing,
    make_rest_message,
    sign_login,
    sign_rest_request,
    signatures_match,
)

SECRET = "sk-test-secret"
NONCE = "1712345678"

VECTORS = [
    pytest.param({}, "84212caf62882df8d67f43a8a5a1d6e17f0cc6ffe02b3409cf9f01bab47a5866", id="no parameters"),
    pytest.param(
        {
            "exchange": "BINANCE",
            "begin": "1712340000000",
            "end": "1712343600000",
            "page": "1",
            "pageSize": "1000",
        },
        "5d703fbccc2ed24f2157a5bbdf088e4123ba3df1025b756a7dd2cedc976f3390",
        id="query",
    ),
    pytest.param(
        {
            "sym": "BINANCE_PERP_BTC_USDT",
            "side": "BUY",
            "orderType": "LIMIT",
            "timeInForce": "GTX",
            "orderQty": "0.002",
            "limitPrice": "60000.1",
            "reduceOnly": "false",
            "clientOrderId": "vec0001",
        },
        "7d5e93098142f033f06c38bddb21e03d47b172659ea4b8176787c152b8f0be3d",
        id="body",
    ),
    pytest.param(
        {"clientOrderId": "vec0001"},
        "9be01ea757bc6bc10895f82a7d56dbdf20f9231b1e6c29f6c330c387662aefec",
        id="one parameter",
    ),
]


@pytest.mark.parametrize(("parameters", "signature"), VECTORS)
def test_rest_signature_is_the_documented_one(parameters: dict[str, str], signature: str) -> None:
    """A REST request signs its sorted raw pairs and the nonce."""
    assert signature == sign_rest_request(SECRET, parameters, NONCE)


def test_rest_signature_of_another_implementation() -> None:
    """A test vector of a production user of the venue gives the same signature."""
    parameters = {"exchange": "BINANCE", "page": "1", "begin": "1000"}
    expected = "ed2f3aff4d75de11d60a5c6bb0accea3640b5cd0059d88cb401ddcd81b20018a"
    assert expected == sign_rest_request("key", parameters, "42")


def test_message_without_parameters_keeps_its_ampersand() -> None:
    """Signing the bare nonce is something else than signing no parameters."""
    assert make_rest_message({}, NONCE) == "&1712345678"
    bare = "0243e042eabd19d66232fb8d5de111de390842f6a7b3973cd0e1edd2ad8f81f6"
    assert bare != sign_rest_request(SECRET, {}, NONCE)


def test_login_signature_is_the_documented_one() -> None:
    """A login signs its timestamp, the word GET and the verification path."""
    expected = "7e9c416228e1489e134b2699594f65647b5803f6b5be9a553235dfebf3c2dd4b"
    assert expected == sign_login(SECRET, "1538054050")


def test_comparison_takes_any_text() -> None:
    """A signature that is not ASCII, or cannot be encoded, is unequal and raises nothing."""
    assert signatures_match("aa", "aa")
    assert not signatures_match("aa", "ä\ud800")


def test_key_never_shows_its_secret() -> None:
    """A key's repr names it without the secret."""
    key = ApiKey(name="main", api_key="ak", api_secret=SECRET, portfolio_id="1")
    assert SECRET not in repr(key)
    assert SECRET not in f"{key}"


def test_revoked_key_is_unknown() -> None:
    """A revoked key is not found."""
    ring = KeyRing()
    ring.add(ApiKey(name="main", api_key="ak", api_secret=SECRET, portfolio_id="1"))
    ring.revoke("ak")
    assert ring.find("ak") is None
