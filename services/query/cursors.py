"""Cursor codec: JSON values as opaque URL-safe text; decoding takes anything that a client may send."""

import base64
import binascii
from typing import Any, Final, TypeGuard

import orjson

# A title of 500 control characters takes 4,000, and other keys may stand beside it.
_MAX_LENGTH: Final = 8_192
_MAX_REVISION: Final = (1 << 31) - 1
_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")


def encode_cursor(values: list[Any]) -> str:
    """Return the values as text that is safe in a URL."""
    return binascii.b2a_base64(orjson.dumps(values), newline=False).translate(_URL_SAFE, b"=").decode()


def decode_cursor(text: str) -> list[Any] | None:
    """Return the values of a cursor, or None where the text is none."""
    if len(text) > _MAX_LENGTH:
        return None
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        values = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except ValueError:
        return None
    return values if isinstance(values, list) else None


def is_revision(value: object) -> TypeGuard[int]:
    """Return whether a decoded value can be a revision; True is an int, and no revision."""
    return type(value) is int and 0 <= value <= _MAX_REVISION
