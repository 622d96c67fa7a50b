"""Ids: UUIDs as canonical text, time-ordered (version 7) where the server makes them."""

import os
import time
import uuid

_CANONICAL_LENGTH = 36
# Two bits of a digit of chance, behind the two that say what kind of UUID it is.
_VARIANTS = {digit: "89ab"[int(digit, 16) % 4] for digit in "0123456789abcdef"}


def new_id() -> str:
    """Return a UUIDv7: 48 bits of milliseconds, 12 of the fraction, 62 of chance."""
    milliseconds, fraction_ns = divmod(time.time_ns(), 1_000_000)
    fraction = fraction_ns * 4096 // 1_000_000
    time_digits, chance = f"{milliseconds:012x}", os.urandom(8).hex()
    variant = _VARIANTS[chance[0]]
    return f"{time_digits[:8]}-{time_digits[8:]}-7{fraction:03x}-{variant}{chance[1:4]}-{chance[4:]}"


def new_ids(count: int) -> list[str]:
    """Return `count` ids in ascending order."""
    return sorted(new_id() for _ in range(count))


def parse_id(text: str) -> str | None:
    """Return the id in canonical form, or None where the text is no UUID."""
    if len(text) != _CANONICAL_LENGTH:
        return None
    try:
        canonical = str(uuid.UUID(text))
    except ValueError:
        return None
    return canonical if canonical == text.lower() else None
