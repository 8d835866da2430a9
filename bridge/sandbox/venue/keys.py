"""API keys, and the signatures of REST requests and WebSocket logins."""

import hashlib
import hmac
from collections.abc import Iterator, Mapping

import msgspec


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """One API key of a portfolio (LTP docs, Get One Portfolio Assets Details)."""

    name: str
    api_key: str
    api_secret: str
    portfolio_id: str

    def __repr__(self) -> str:
        return f"ApiKey(name={self.name!r}, api_key={self.api_key!r}, portfolio_id={self.portfolio_id!r})"


def make_rest_message(parameters: Mapping[str, str], nonce: str) -> str:
    """Return the signed text of a REST request: sorted raw `k=v` pairs, `&` and the nonce (LTP docs, Authentication).

    Without parameters the leading ampersand stays.
    """
    pairs = "&".join(f"{name}={parameters[name]}" for name in sorted(parameters))
    return f"{pairs}&{nonce}"


def sign_rest_request(secret: str, parameters: Mapping[str, str], nonce: str) -> str:
    """Return the lower-case hex HMAC-SHA256 of a REST request; the nonce is Unix seconds as text."""
    return _hmac_hex(secret, make_rest_message(parameters, nonce))


def sign_login(secret: str, timestamp: str) -> str:
    """Return the hex HMAC-SHA256 of a login; the timestamp is Unix seconds as text (LTP docs, User Data Overview)."""
    return _hmac_hex(secret, f"{timestamp}GET/users/self/verify")


def signatures_match(expected: str, given: str) -> bool:
    """Return whether two signatures are equal; takes constant time."""
    return hmac.compare_digest(expected.encode(), given.encode("utf-8", "surrogatepass"))


def _hmac_hex(secret: str, message: str) -> str:
    # A wire text may carry lone surrogates (JSON allows them); they sign as themselves and never match.
    text = message.encode("utf-8", "surrogatepass")
    return hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()


class KeyRing:
    """The venue's API keys, by account name and by key."""

    def __init__(self) -> None:
        self._by_name: dict[str, ApiKey] = {}
        self._by_api_key: dict[str, ApiKey] = {}

    def __getitem__(self, name: str) -> ApiKey:
        return self._by_name[name]

    def __iter__(self) -> Iterator[ApiKey]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

    def add(self, key: ApiKey) -> None:
        """Add a key; an earlier key of the same name stays valid until it is revoked."""
        self._by_name[key.name] = key
        self._by_api_key[key.api_key] = key

    def revoke(self, api_key: str) -> None:
        """Remove a key: its logins and requests fail from now on."""
        del self._by_api_key[api_key]

    def find(self, api_key: str) -> ApiKey | None:
        """Return the key; None if it is unknown or revoked."""
        return self._by_api_key.get(api_key)
