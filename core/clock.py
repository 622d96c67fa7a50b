"""The present time, in UTC, and what is to be done at a later one."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the present moment with its offset."""
    return datetime.now(UTC)


def call_at(moment: datetime, work: Callable[[], object]) -> asyncio.TimerHandle:
    """Do the work at the moment, at once where it has passed, unless it is cancelled before."""
    left_s = (moment - utc_now()).total_seconds()
    return asyncio.get_running_loop().call_later(max(left_s, 0), work)
