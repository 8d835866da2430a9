"""The secrets that a test run uses, as they come: files of keys and passwords, TLS keys, and signatures."""

import base64
import re
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import quote

CHARS_MIN: Final = 8
"""What is shorter, such as `key`, stands in outputs that show no secret."""
_PEM_LINE_CHARS_MIN: Final = 24
_SIGNATURE: Final = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


class Secrets:
    """What must stand in no output: each secret in every form that it may be written in."""

    def __init__(self) -> None:
        self._kinds: dict[str, str] = {}
        self._signatures: set[bytes] = set()
        self.too_short: set[str] = set()

    def add(self, kind: str, secret: str) -> None:
        """Take in a secret."""
        if len(secret) < CHARS_MIN:
            self.too_short.add(secret)
        else:
            self._kinds.setdefault(secret, kind)

    def add_pem(self, text: str) -> None:
        """Take in the lines of a private key: each of them is a part of it."""
        for block in re.findall(r"-----BEGIN [A-Z ]*PRIVATE KEY-----(.*?)-----END", text, re.DOTALL):
            for line in block.split():
                if len(line) >= _PEM_LINE_CHARS_MIN:
                    self.add("TLS key", line)

    def add_signature(self, signature: str) -> None:
        """Take in a signature, which is 64 hexadecimal digits."""
        self._signatures.add(signature.encode())

    def describe(self) -> dict[str, int]:
        """Return how many there are of each kind."""
        kinds = list(self._kinds.values())
        return {kind: kinds.count(kind) for kind in sorted(set(kinds))} | {"signature": len(self._signatures)}

    def make_search(self) -> "Search":
        """Return the search for what is known now."""
        forms = {form: kind for secret, kind in self._kinds.items() for form in _write_forms(secret)}
        return Search(forms, frozenset(self._signatures))


def _write_forms(secret: str) -> Iterator[bytes]:
    """Yield a secret as it is, as in a URL, in Base64 and in hexadecimal digits."""
    raw = secret.encode()
    yield raw
    yield quote(secret, safe="").encode()
    yield base64.b64encode(raw).rstrip(b"=")[:-1]  # the last digit depends on what follows
    yield raw.hex().encode()


class Search:
    """Finds secrets in bytes."""

    def __init__(self, forms: dict[bytes, str], signatures: Iterable[bytes]) -> None:
        self._forms = forms
        self._signatures = frozenset(signatures)

    def find(self, output: bytes) -> set[str]:
        """Return the kinds of the secrets in an output."""
        found = {kind for form, kind in self._forms.items() if form in output}
        if any(match in self._signatures for match in _SIGNATURE.findall(output)):
            found.add("signature")
        return found
