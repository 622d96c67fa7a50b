"""Request headers: content negotiation, the type of the body, the credentials, the id that the client sent."""

import re
from collections.abc import Iterable, Mapping
from enum import Enum
from functools import lru_cache
from typing import Final, NamedTuple

from starlette.types import Scope

_MAX_ACCEPT_BYTES: Final = 1_000


class MediaType(Enum):
    """What the GraphQL endpoint can answer with; the value is the type without parameters."""

    GRAPHQL_RESPONSE = "application/graphql-response+json"
    JSON = "application/json"
    HTML = "text/html"


class _Range(NamedTuple):
    kind: str
    subtype: str
    quality: float

    def specificity(self, media_type: MediaType) -> int:
        """Return how specific the range is for the type: 0 not at all, 1 by */*, 2 by its kind, 3 exactly."""
        kind, _, subtype = media_type.value.partition("/")
        if self.kind == self.subtype == "*":
            return 1
        if self.kind != kind:
            return 0
        if self.subtype == "*":
            return 2
        return 3 if self.subtype == subtype else 0


def preferred_media_type(accept: bytes, *, html_offered: bool = False) -> MediaType | None:
    """Return the type that the client prefers, or None where it accepts none of ours."""
    return _preferred(accept[:_MAX_ACCEPT_BYTES], html_offered)


# Bounded in bytes, as the part of the header that counts is.
@lru_cache(maxsize=128)
def _preferred(accept: bytes, html_offered: bool) -> MediaType | None:  # noqa: FBT001 - part of a cache's key
    ranges = _parse(accept.decode("latin-1"))
    offered = [MediaType.GRAPHQL_RESPONSE, MediaType.JSON]
    if html_offered:
        offered.append(MediaType.HTML)
    best, best_rank = None, (0.0, 0, False)
    for media_type in offered:
        quality, specificity = _quality(media_type, ranges)
        # Clients that take anything know plain JSON at least; those that name both want the newer type.
        is_default = media_type is (MediaType.GRAPHQL_RESPONSE if specificity == 3 else MediaType.JSON)  # noqa: PLR2004
        rank = (quality, specificity, is_default)
        if quality > 0 and rank > best_rank:
            best, best_rank = media_type, rank
    return best


def _quality(media_type: MediaType, ranges: list[_Range]) -> tuple[float, int]:
    matching = [(each.specificity(media_type), each.quality) for each in ranges]
    specificity, quality = max(matching, default=(0, 0.0))
    return (quality, specificity) if specificity else (0.0, 0)


def _parse(accept: str) -> list[_Range]:
    ranges = []
    for part in accept.lower().split(","):
        media_range, *parameters = (piece.strip() for piece in part.split(";"))
        kind, slash, subtype = media_range.partition("/")
        if slash:
            ranges.append(_Range(kind, subtype, _quality_value(parameters)))
    return ranges


def _quality_value(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return min(max(float(value), 0.0), 1.0)
            except ValueError:
                return 0.0
    return 1.0


JSON: Final = "application/json"
_MAX_CONTENT_TYPE_BYTES: Final = 200


def content_type_problem(headers: Mapping[bytes, bytes], media_type: str = JSON) -> str | None:
    """Return why the body cannot be read, None where it can."""
    encoding = headers.get(b"content-encoding")
    if encoding is not None and encoding.strip().lower() != b"identity":
        return "The body must not be compressed; send it without Content-Encoding."
    content_type = headers.get(b"content-type")
    if content_type is None or not _is_of_type(content_type[:_MAX_CONTENT_TYPE_BYTES], media_type):
        return f"The Content-Type must be {media_type}, in UTF-8."
    return None


@lru_cache(maxsize=128)
def _is_of_type(content_type: bytes, wanted: str) -> bool:
    media_type, *parameters = (part.strip() for part in content_type.decode("latin-1").lower().split(";"))
    charsets = [part.partition("=")[2].strip(' "') for part in parameters if part.startswith("charset")]
    return media_type == wanted and all(charset in {"utf-8", "utf8"} for charset in charsets)


_KEY: Final = "tasktalk.headers"
_SANE_ID: Final = re.compile(rb"[0-9A-Za-z][0-9A-Za-z._-]{0,63}")


class RequestHeaders:
    """The headers of a request by name, and what is read of them."""

    __slots__ = (
        "accepts_events",
        "accepts_gzip",
        "credentials",
        "media_type",
        "sent_id",
        "values",
    )

    def __init__(self, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        headers = dict(pairs)
        accept = headers.get(b"accept", b"*/*")
        self.values: Mapping[bytes, bytes] = headers
        self.sent_id = _sane_id(headers.get(b"x-request-id"))
        self.credentials = headers.get(b"authorization")
        # Of a POST; a GET is offered a page as well.
        self.media_type = preferred_media_type(accept)
        self.accepts_events = b"text/event-stream" in accept.lower()
        self.accepts_gzip = b"gzip" in headers.get(b"accept-encoding", b"")


def get_request_headers(scope: Scope) -> RequestHeaders:
    """Return the headers of a request, read once."""
    headers: RequestHeaders | None = scope.get(_KEY)
    if headers is None:
        headers = scope[_KEY] = RequestHeaders(scope["headers"])
    return headers


def _sane_id(sent: bytes | None) -> str | None:
    return sent.decode("ascii") if sent is not None and _SANE_ID.fullmatch(sent) else None
