"""Moments: the present one, their RFC 3339 form that every API reads, and callbacks at a later one."""

import asyncio
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

# Python takes 24:00 and offsets of 60 minutes in some of its versions.
_TIME: Final = r"(?:[01]\d|2[0-3]):[0-5]\d"
_RFC_3339: Final = re.compile(rf"\d{{4}}-\d\d-\d\d[Tt ]{_TIME}:\d\d(\.\d+)?([Zz]|[+-]{_TIME})", re.ASCII)


# A smaller difference is left alone.
_TOLERANCE: Final = timedelta(seconds=2)


class _Correction:
    """How far the database's clock is ahead of this machine's."""

    value = timedelta(0)


def correct_clock(moment: datetime, within_s: float) -> None:
    """Go by the database's clock, which all processes share, if this machine's is off; it showed this moment just now.

    `within_s` is how long it took to ask.
    """
    difference = moment - datetime.now(UTC)
    is_off = abs(difference) > _TOLERANCE + timedelta(seconds=within_s)
    _Correction.value = difference if is_off else timedelta(0)


def utc_now() -> datetime:
    """Return the present moment with its offset."""
    return datetime.now(UTC) + _Correction.value


def call_at(moment: datetime, work: Callable[[], object]) -> asyncio.TimerHandle:
    """Do the work at the moment, at once where it has passed, unless it is cancelled before."""
    left_s = (moment - utc_now()).total_seconds()
    return asyncio.get_running_loop().call_later(max(left_s, 0), work)


def read_moment(value: object) -> datetime:
    """Return the moment in UTC; raise ValueError, saying how to write it, where it is none."""
    if isinstance(value, str) and _RFC_3339.fullmatch(value):
        try:
            moment = datetime.fromisoformat(value.upper())
            return moment if moment.tzinfo is UTC else moment.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise ValueError(
        f"{str(value)[:60]!r} is no moment; write it as RFC 3339 with an offset, such as 2026-01-31T09:00:00Z."
    )
