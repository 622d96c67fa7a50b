"""Cross-origin requests (CORS): which pages may call, with which headers, and what they may read of answers."""

import re
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp

from core.settings import Settings
from server.http.origins import LOCAL, allows_local_origins

_PREFLIGHT_KEPT_S: Final = 3600
_METHODS: Final = ("GET", "POST", "PATCH", "PUT", "DELETE")
_RESPONSE_HEADERS: Final = (
    "ETag",
    "Location",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "WWW-Authenticate",
    "X-Request-ID",
)
_MAX_REQUEST_HEADERS: Final = 50
_MAX_REQUEST_HEADERS_LENGTH: Final = 2_048
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_CREDENTIALS: Final = "Access-Control-Allow-Credentials"


class CrossOrigin(CORSMiddleware):
    """Starlette's CORSMiddleware with credentials for origins that are named, and any request header that is one."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        super().__init__(
            app,
            allow_origins=settings.allowed_origins,
            allow_origin_regex=LOCAL if allows_local_origins(settings) else None,
            allow_methods=_METHODS,
            allow_headers=("*",),
            expose_headers=_RESPONSE_HEADERS,
            max_age=_PREFLIGHT_KEPT_S,
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        """Answer what a browser asks before the request."""
        if not _are_header_names(request_headers.get("access-control-request-headers", "")):
            return PlainTextResponse("Disallowed CORS headers", 400, {"vary": self.preflight_headers["Vary"]})
        response = super().preflight_response(request_headers)
        if response.headers.get("access-control-allow-origin", "*") != "*":
            response.headers[_CREDENTIALS] = "true"
        return response

    @staticmethod
    def allow_explicit_origin(headers: MutableHeaders, origin: str) -> None:
        """Allow an origin that is named, with credentials."""
        CORSMiddleware.allow_explicit_origin(headers, origin)
        headers[_CREDENTIALS] = "true"


def _are_header_names(text: str) -> bool:
    names = [name.strip() for name in text.split(",")] if text else []
    is_bounded = len(text) <= _MAX_REQUEST_HEADERS_LENGTH and len(names) <= _MAX_REQUEST_HEADERS
    return is_bounded and all(map(_HEADER_NAME.fullmatch, names))
