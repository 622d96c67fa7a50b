"""The present time, in UTC."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the present moment with its offset."""
    return datetime.now(UTC)
