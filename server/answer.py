"""An answer of the GraphQL endpoint."""

from typing import Any, Final

import orjson
from starlette.types import Receive, Scope, Send

from server.errors import Header
from server.media_type import MediaType

_TYPED: Final = MediaType.GRAPHQL_RESPONSE
_NO_STORE: Final = (b"cache-control", b"no-store")
# The answer depends on it, and a cache between us and the client must know.
_VARY: Final = (b"vary", b"Accept, Authorization")
_JSON, _GRAPHQL_RESPONSE = (
    ((b"content-type", f"{media_type.value}; charset=utf-8".encode()), _NO_STORE, _VARY)
    for media_type in (MediaType.JSON, MediaType.GRAPHQL_RESPONSE)
)


class Answer:
    """Status, headers without the length, and body."""

    __slots__ = ("body", "headers", "status")

    def __init__(
        self, status: int, content: dict[str, Any], media_type: MediaType | None, headers: tuple[Header, ...] = ()
    ) -> None:
        self.status = status
        self.headers = (_GRAPHQL_RESPONSE if media_type is _TYPED else _JSON) + headers
        self.body = orjson.dumps(content)

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send it."""
        headers = [*self.headers, (b"content-length", b"%d" % len(self.body))]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})
