"""Ids: UUIDs as canonical text, time-ordered (version 7) where the server makes them."""

import os
import time
import uuid

_CANONICAL_LENGTH = 36


def new_id() -> str:
    """Return a UUIDv7: 48 bits of milliseconds, 12 of the fraction, 62 of chance."""
    milliseconds, fraction_ns = divmod(time.time_ns(), 1_000_000)
    fraction = fraction_ns * 4096 // 1_000_000
    chance = int.from_bytes(os.urandom(8)) >> 2
    digits = f"{milliseconds << 80 | 0x7 << 76 | fraction << 64 | 0b10 << 62 | chance:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


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
