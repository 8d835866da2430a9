"""The preferred form of a time in HTTP headers (RFC 9110, 5.6.7)."""

from datetime import UTC, datetime


def parse_http_date(text: str) -> int | None:
    """Return a time such as `Sun, 06 Nov 1994 08:49:37 GMT` as Unix seconds; None for any other text."""
    try:
        return int(datetime.strptime(text, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC).timestamp())
    except ValueError:
        return None
