"""Cursors as clients see them: opaque text, of which anything may come back."""

import base64
from typing import Any, Final, TypeGuard

import orjson

# A title of 500 control characters takes 4,000, and other keys may stand beside it.
_LONGEST: Final = 8_192
_LARGEST_REVISION: Final = (1 << 31) - 1


def write_opaque(values: list[Any]) -> str:
    """Return the values as text that is safe in a URL."""
    return base64.urlsafe_b64encode(orjson.dumps(values)).decode().rstrip("=")


def read_opaque(text: str) -> list[Any] | None:
    """Return the values of such a text, or None where it is none."""
    if len(text) > _LONGEST:
        return None
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        values = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except ValueError:
        return None
    return values if isinstance(values, list) else None


def is_revision(value: object) -> TypeGuard[int]:
    """Tell whether a value of such a text can be a revision; True is an int, and no revision."""
    return type(value) is int and 0 <= value <= _LARGEST_REVISION
