"""What is read of a request's headers, once for each head."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from starlette.types import Scope

from server.content_type import problem_of
from server.media_type import preferred

# Where a request keeps its head.
HEAD: Final = "tasktalk.head"
_USUAL: Final = b"Bearer "
_SANE_ID: Final = re.compile(rb"[0-9A-Za-z][0-9A-Za-z._-]{0,63}")


class Head:
    """What one head says. Requests that send the same share it, so nothing of it may change."""

    __slots__ = (
        "credentials",
        "has_origin",
        "headers",
        "json_problem",
        "media_type",
        "sent_id",
        "takes_events",
        "takes_gzip",
        "usual_token",
    )

    def __init__(self, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        headers = dict(pairs)
        accept = headers.get(b"accept", b"*/*")
        self.headers: Mapping[bytes, bytes] = headers
        self.sent_id = _sane_id(headers.get(b"x-request-id"))
        self.credentials = headers.get(b"authorization")
        self.usual_token = usual_token(self.credentials)
        self.has_origin = b"origin" in headers
        # As far as the client posts: a page is offered to who gets.
        self.media_type = preferred(accept)
        self.takes_events = b"text/event-stream" in accept.lower()
        self.takes_gzip = b"gzip" in headers.get(b"accept-encoding", b"")
        # Why a body with this head is not read as JSON.
        self.json_problem = problem_of(headers)


def head_of(scope: Scope) -> Head:
    """Return what the request's head says, read once."""
    head: Head | None = scope.get(HEAD)
    if head is None:
        head = scope[HEAD] = Head(scope["headers"])
    return head


def usual_token(credentials: bytes | None) -> str | None:
    """Return the token in credentials as all but all clients write them; nothing of it is trusted yet."""
    if credentials is None or not credentials.startswith(_USUAL):
        return None
    return credentials[len(_USUAL) :].decode("latin-1")


def _sane_id(sent: bytes | None) -> str | None:
    return sent.decode("ascii") if sent is not None and _SANE_ID.fullmatch(sent) else None
