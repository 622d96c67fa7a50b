"""Allowed origins: which pages of other sites may call, by the Origin header."""

import re
from typing import Final
from urllib.parse import urlsplit

from starlette.types import Scope

from core.settings import Settings
from server.http.headers import get_request_headers

LOCAL: Final = r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?"
_LOCAL: Final = re.compile(LOCAL, re.IGNORECASE)


def allows_local_origins(settings: Settings) -> bool:
    """Return whether pages of this machine may call: in development, unless ALLOWED_ORIGINS is set."""
    return not settings.is_production and not settings.allowed_origins


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
    if allows_local_origins(settings) and _LOCAL.fullmatch(text):
        return True
    allowed = {each.lower() for each in settings.allowed_origins}
    if settings.public_url:
        allowed.add("://".join(urlsplit(settings.public_url.lower())[:2]))
    host = headers.get(b"host", b"").decode("latin-1").lower()
    # Behind what ends TLS, a secure page's request arrives as a plain one.
    schemes = ("https",) if scope["scheme"] == "wss" else ("https", "http")
    return text in allowed.union(f"{scheme}://{host}" for scheme in schemes)
