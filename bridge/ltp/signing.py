"""How the venue wants to be convinced that we hold the secret (LTP docs, Authentication; User Data Overview)."""

import hashlib
import hmac
from collections.abc import Mapping


def _sign(secret: str, message: str) -> str:
    return hmac.new(secret.encode(), message.encode(), hashlib.sha256).hexdigest()


def login_signature(secret: str, timestamp_s: int) -> str:
    """Sign a login to the private WebSocket. `timestamp_s` is Unix time in whole seconds."""
    return _sign(secret, f"{timestamp_s}GET/users/self/verify")


def rest_signature(secret: str, params: Mapping[str, str], nonce_s: int) -> str:
    """Sign a REST request. `nonce_s` is Unix time in whole seconds.

    Values are signed as they are, before any URL encoding. The ampersand before the nonce stays even where there
    are no parameters.
    """
    query = "&".join(f"{name}={params[name]}" for name in sorted(params))
    return _sign(secret, f"{query}&{nonce_s}")


def without_secrets(text: str, *secrets: str) -> str:
    """Take secrets out of a text of the venue's, which may quote what it was sent."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return text
