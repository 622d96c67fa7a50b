"""Whether a body is of the type that is wanted, by its headers."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

JSON: Final = "application/json"
_LONGEST: Final = 200


def problem_of(headers: Mapping[bytes, bytes], media_type: str = JSON) -> str | None:
    """Return why the body cannot be read, None where it can."""
    encoding = headers.get(b"content-encoding")
    if encoding is not None and encoding.strip().lower() != b"identity":
        return "The body must not be compressed; send it without Content-Encoding."
    content_type = headers.get(b"content-type")
    if content_type is None or not _is_of_type(content_type[:_LONGEST], media_type):
        return f"The Content-Type must be {media_type}, in UTF-8."
    return None


@lru_cache(maxsize=128)
def _is_of_type(content_type: bytes, wanted: str) -> bool:
    media_type, *parameters = (part.strip() for part in content_type.decode("latin-1").lower().split(";"))
    charsets = [part.partition("=")[2].strip(' "') for part in parameters if part.startswith("charset")]
    return media_type == wanted and all(charset in {"utf-8", "utf8"} for charset in charsets)
