"""Allowed origins: which pages of other sites may call, by the Origin header."""

import re
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

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
    is_open = "*" in settings.allowed_origins

    def lines(origin: bytes | None) -> bytes:
        if origin is None:
            return b""
        if _is_named_elsewhere(origin.decode("latin-1").lower(), settings):
            return _ALLOWED % origin + b"access-control-allow-credentials: true\r\n"
        return _ALLOWED % b"*" if is_open else b""

    return lines


def is_allowed_origin(scope: Scope, settings: Settings) -> bool:
    """Return whether the origin may call: our own, one of the settings, or none at all."""
    return "*" in settings.allowed_origins or is_named_origin(scope, settings)


def is_named_origin(scope: Scope, settings: Settings) -> bool:
    """Return whether the origin may call with cookies: as `is_allowed_origin`, but `*` names none."""
    headers = get_request_headers(scope).values
    origin = headers.get(b"origin")
    if origin is None:
        return True
    text = origin.decode("latin-1").lower()
    if _is_named_elsewhere(text, settings):
        return True
    host = headers.get(b"host", b"").decode("latin-1").lower()
    # Behind what ends TLS, a secure page's request arrives as a plain one.
    schemes = ("https",) if scope["scheme"] == "wss" else ("https", "http")
    own = {f"{scheme}://{host}" for scheme in schemes}
    if settings.public_url:
        own.add("://".join(urlsplit(settings.public_url.lower())[:2]))
    return text in own


def _is_named_elsewhere(origin: str, settings: Settings) -> bool:
    if allows_local_origins(settings) and _LOCAL.fullmatch(origin):
        return True
    return origin in {each.lower() for each in settings.allowed_origins}
