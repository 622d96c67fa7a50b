"""Request headers: content negotiation, the type of the body, the credentials, the id that the client sent."""

import re
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Final

from python_multipart.multipart import parse_options_header
from starlette.types import Scope

from core.cache import LRUCache

_MAX_ACCEPT_BYTES: Final = 1_000
_BYTES_PER_HEADER: Final = 500
_KEY: Final = "tasktalk.headers"
_SANE_ID: Final = re.compile(rb"[0-9A-Za-z][0-9A-Za-z._-]{0,63}")


class MediaType(Enum):
    """What the GraphQL endpoint can answer with; the value is the type without parameters."""

    GRAPHQL_RESPONSE = "application/graphql-response+json"
    JSON = "application/json"
    HTML = "text/html"


# What clients accept, and whether they are offered a page, with what they prefer.
MEDIA_TYPES: Final[LRUCache[tuple[bytes, bool], tuple[MediaType | None]]] = LRUCache("media_types", max_bytes=250_000)


def _read_ranges(accept: str) -> dict[str, float]:
    """Return the quality of each media range."""
    qualities: dict[str, float] = {}
    for part in accept.split(","):
        media_range, parameters = parse_options_header(part)
        name = media_range.decode("latin-1")
        try:
            quality = min(max(float(parameters.get(b"q", b"1")), 0.0), 1.0)
        except ValueError:
            quality = 0.0
        qualities[name] = max(quality, qualities.get(name, 0.0))
    return qualities


def preferred_media_type(accept: bytes, *, html_offered: bool = False) -> MediaType | None:
    """Return the type that the client prefers, or None where it accepts none of ours."""
    key = accept[:_MAX_ACCEPT_BYTES], html_offered
    if (found := MEDIA_TYPES.get(key)) is None:
        found = (_find_preferred(*key),)
        MEDIA_TYPES.put(key, found, len(key[0]) + _BYTES_PER_HEADER)
    return found[0]


def _find_preferred(accept: bytes, html_offered: bool) -> MediaType | None:  # noqa: FBT001 - part of a cache's key
    qualities = _read_ranges(accept.decode("latin-1"))

    def rank(media_type: MediaType) -> tuple[float, int, bool]:
        kind = media_type.value.partition("/")[0]
        ranges = {3: media_type.value, 2: f"{kind}/*", 1: "*/*"}
        specificity = next((number for number, media_range in ranges.items() if media_range in qualities), 0)
        # Clients that take anything know plain JSON at least; those that name both want the newer type.
        default = MediaType.GRAPHQL_RESPONSE if specificity == max(ranges) else MediaType.JSON
        return qualities.get(ranges.get(specificity, ""), 0.0), specificity, media_type is default

    offered = [MediaType.GRAPHQL_RESPONSE, MediaType.JSON, *([MediaType.HTML] if html_offered else ())]
    best = max(offered, key=rank)
    return best if rank(best)[0] > 0 else None


def is_of_type(content_type: bytes, wanted: str) -> bool:
    """Return whether a Content-Type names the wanted type, in UTF-8."""
    if content_type == wanted.encode():
        return True
    media_type, *parameters = (part.strip() for part in content_type.decode("latin-1").lower().split(";"))
    charsets = [part.partition("=")[2].strip(' "') for part in parameters if part.startswith("charset")]
    return media_type == wanted and all(charset in {"utf-8", "utf8"} for charset in charsets)


class RequestHeaders:
    """The headers of a request by name, and what is read of them."""

    __slots__ = ("accepts_events", "accepts_gzip", "credentials", "media_type", "sent_id", "values")

    def __init__(self, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        headers = dict(pairs)
        accept = headers.get(b"accept", b"*/*")
        self.values: Mapping[bytes, bytes] = headers
        sent_id = headers.get(b"x-request-id")
        self.sent_id = sent_id.decode("ascii") if sent_id is not None and _SANE_ID.fullmatch(sent_id) else None
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
