"""The one form of a time in the headers of HTTP (RFC 9110, 5.6.7) that may still be written."""

from datetime import UTC, datetime


def parse_http_date(text: str) -> int | None:
    """Read a time such as `Sun, 06 Nov 1994 08:49:37 GMT` as Unix seconds; None when the text is anything else."""
    try:
        return int(datetime.strptime(text, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC).timestamp())
    except ValueError:
        return None
