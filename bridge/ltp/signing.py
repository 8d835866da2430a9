"""The signatures of logins and REST requests (LTP docs, Authentication; User Data Overview)."""

import hashlib
import hmac
from collections.abc import Mapping


def _sign_sha256(secret: str, message: str) -> str:
    return hmac.new(secret.encode(), message.encode(), hashlib.sha256).hexdigest()


def login_signature(secret: str, timestamp_s: int) -> str:
    """Return the signature of a login to the private WebSocket. `timestamp_s` is Unix time in whole seconds."""
    return _sign_sha256(secret, f"{timestamp_s}GET/users/self/verify")


def rest_signature(secret: str, params: Mapping[str, str], nonce_s: int) -> str:
    """Return the signature of a REST request. `nonce_s` is Unix time in whole seconds.

    Values are signed before any URL encoding. The ampersand before the nonce is there even without parameters.
    """
    query = "&".join(f"{name}={params[name]}" for name in sorted(params))
    return _sign_sha256(secret, f"{query}&{nonce_s}")


def mask_secrets(text: str, *secrets: str) -> str:
    """Return a text of the venue's with each secret replaced by `***`: the venue may quote what it was sent."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return text
