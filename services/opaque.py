"""Cursors as clients see them: opaque text, of which anything may come back."""

import base64
import binascii
from typing import Any, Final, TypeGuard

import orjson

# A title of 500 control characters takes 4,000, and other keys may stand beside it.
_LONGEST: Final = 8_192
_LARGEST_REVISION: Final = (1 << 31) - 1
_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")


def write_opaque(values: list[Any]) -> str:
    """Return the values as text that is safe in a URL."""
    return binascii.b2a_base64(orjson.dumps(values), newline=False).translate(_URL_SAFE, b"=").decode()


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
