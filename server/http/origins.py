"""Allowed origins: which pages of other sites may call, by the Origin header."""

import re
from collections.abc import Callable
from typing import Final

from starlette.types import Scope

from core.settings import Settings
from server.http.headers import get_request_headers

LOCAL: Final = r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?"
_LOCAL: Final = re.compile(LOCAL, re.IGNORECASE)
_ALLOWED: Final = b"access-control-allow-origin: %b\r\naccess-control-expose-headers: Retry-After\r\nvary: Origin\r\n"


def allows_local_origins(settings: Settings) -> bool:
    """Return whether pages of this machine may call: in development, unless ALLOWED_ORIGINS is set."""
    return not settings.is_production and not settings.allowed_origins


def cross_origin_lines(settings: Settings) -> Callable[[bytes | None], bytes]:
    """Return what gives the header lines with which a page of an allowed origin may read an answer."""

    def lines(origin: bytes | None) -> bytes:
        if origin is None or not _is_allowed_elsewhere(origin.decode("latin-1").lower(), settings):
            return b""
        return _ALLOWED % origin

    return lines


def _is_allowed_elsewhere(origin: str, settings: Settings) -> bool:
    if allows_local_origins(settings) and _LOCAL.fullmatch(origin):
        return True
    return not {"*", origin}.isdisjoint(each.lower() for each in settings.allowed_origins)


def is_allowed_origin(scope: Scope, settings: Settings) -> bool:
    """Return whether the origin may call: our own, one of the settings, or none at all."""
    headers = get_request_headers(scope).values
    origin = headers.get(b"origin")
    if origin is None:
        return True
    text = origin.decode("latin-1").lower()
    if _is_allowed_elsewhere(text, settings):
        return True
    host = headers.get(b"host", b"").decode("latin-1").lower()
    # Behind what ends TLS, a secure page's request arrives as a plain one.
    schemes = ("https",) if scope["scheme"] == "wss" else ("https", "http")
    return text in {f"{scheme}://{host}" for scheme in schemes}
