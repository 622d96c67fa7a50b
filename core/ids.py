"""Ids: UUIDs as canonical text, time-ordered (version 7) where the server makes them."""

import os
import re
import time
from typing import Final

_CANONICAL: Final = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LENGTH: Final = 36
# Two bits of a digit of chance, behind the two that say what kind of UUID it is.
_VARIANTS = {digit: "89ab"[int(digit, 16) % 4] for digit in "0123456789abcdef"}


def new_id() -> str:
    """Return a UUIDv7: 48 bits of milliseconds, 12 of the fraction, 62 of chance."""
    # In parts of 4,096 of a millisecond: 15 digits, of which the last three are the fraction.
    moment = time.time_ns() * 4096 // 1_000_000
    digits = f"{moment:015x}{os.urandom(8).hex()}"
    return f"{digits[:8]}-{digits[8:12]}-7{digits[12:15]}-{_VARIANTS[digits[15]]}{digits[16:19]}-{digits[19:]}"


def new_ids(count: int) -> list[str]:
    """Return `count` ids in ascending order."""
    return sorted(new_id() for _ in range(count))


def parse_id(text: str) -> str | None:
    """Return the id in canonical form, or None where the text is no UUID."""
    if len(text) != _LENGTH:
        return None
    canonical = text.lower()
    return canonical if _CANONICAL.fullmatch(canonical) else None
