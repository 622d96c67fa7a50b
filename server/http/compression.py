"""Compresses answers from a size on, for clients that can read them so."""

from typing import Final

from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from server.http.headers import get_request_headers

_LEVEL: Final = 5


class Compression(GZipMiddleware):
    """Starlette's, but without its cost for a client that does not ask for it."""

    def __init__(self, app: ASGIApp, minimum_size: int) -> None:
        super().__init__(app, minimum_size=minimum_size, compresslevel=_LEVEL)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        asked = scope["type"] == "http" and get_request_headers(scope).accepts_gzip
        await (super().__call__ if asked else self.app)(scope, receive, send)
