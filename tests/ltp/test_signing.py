"""Signatures, against vectors that openssl computed."""

from bridge.ltp.signing import login_signature, mask_secrets, rest_signature

SECRET = "sk-test-secret"
NONCE = 1712345678


def test_a_request_without_parameters_keeps_the_ampersand() -> None:
    """The nonce is signed with its leading ampersand."""
    expected = "84212caf62882df8d67f43a8a5a1d6e17f0cc6ffe02b3409cf9f01bab47a5866"
    assert expected == rest_signature(SECRET, {}, NONCE)


def test_parameters_are_sorted_by_name() -> None:
    """The order in which they are given does not matter."""
    params = {"page": "1", "exchange": "BINANCE", "pageSize": "1000", "end": "1712343600000", "begin": "1712340000000"}
    expected = "5d703fbccc2ed24f2157a5bbdf088e4123ba3df1025b756a7dd2cedc976f3390"
    assert expected == rest_signature(SECRET, params, NONCE)


def test_an_order_body_is_signed_as_its_fields() -> None:
    """A body's fields are signed as a query's would be."""
    params = {
        "sym": "BINANCE_PERP_BTC_USDT",
        "side": "BUY",
        "orderType": "LIMIT",
        "timeInForce": "GTX",
        "orderQty": "0.002",
        "limitPrice": "60000.1",
        "clientOrderId": "vec0001",
        "reduceOnly": "false",
    }
    expected = "7d5e93098142f033f06c38bddb21e03d47b172659ea4b8176787c152b8f0be3d"
    assert expected == rest_signature(SECRET, params, NONCE)


def test_one_parameter() -> None:
    """A request for one order has one parameter."""
    expected = "9be01ea757bc6bc10895f82a7d56dbdf20f9231b1e6c29f6c330c387662aefec"
    assert expected == rest_signature(SECRET, {"clientOrderId": "vec0001"}, NONCE)


def test_another_programs_vector() -> None:
    """An independent client of the venue computes the same signature."""
    params = {"exchange": "BINANCE", "begin": "1000", "page": "1"}
    expected = "ed2f3aff4d75de11d60a5c6bb0accea3640b5cd0059d88cb401ddcd81b20018a"
    assert expected == rest_signature("key", params, 42)


def test_login() -> None:
    """A login signs its timestamp and the path of the venue's verification."""
    expected = "7e9c416228e1489e134b2699594f65647b5803f6b5be9a553235dfebf3c2dd4b"
    assert expected == login_signature(SECRET, 1538054050)


def test_secrets_are_masked_in_texts() -> None:
    """A text of the venue's may quote them."""
    assert mask_secrets("no key ak-test here", "ak-test", SECRET) == "no key *** here"
