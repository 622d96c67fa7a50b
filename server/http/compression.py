"""Gzip middleware for responses from a size on."""

from typing import Final

from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from server.http.headers import get_request_headers

_LEVEL: Final = 5


class Compression(GZipMiddleware):
    """Starlette's GZipMiddleware, bypassed for clients that do not accept gzip."""

    def __init__(self, app: ASGIApp, minimum_size: int) -> None:
        super().__init__(app, minimum_size=minimum_size, compresslevel=_LEVEL)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        asked = scope["type"] == "http" and get_request_headers(scope).accepts_gzip
        await (super().__call__ if asked else self.app)(scope, receive, send)
