"""Cookie mode: for requests with `X-Auth-Mode: cookie` the refresh token is in a cookie that no page can read.

The header keeps forms and links of other sites away: a page has to ask for it before, and only allowed origins may.
"""

import re
from typing import Final
from urllib.parse import urlsplit

from starlette.types import Scope

from core.settings import Settings
from graph.context import SessionCookie
from server.http.errors import Header, refuse
from server.http.headers import get_request_headers
from server.http.origins import is_named_origin

NAME: Final = "tasktalk_refresh"
_TOKEN: Final = re.compile(rb"(?:^|;) *tasktalk_refresh=([A-Za-z0-9_-]{80}) *(?:;|$)")
# Browsers take a secure cookie from these by plain HTTP, too.
_LOOPBACK: Final = re.compile(rb"(?:(?:.+\.)?localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?", re.IGNORECASE)


def read_session_cookie(scope: Scope, settings: Settings) -> SessionCookie | None:
    """Return the cookie of a request in cookie mode, None for any other; refuse one of an origin that is not named."""
    headers = get_request_headers(scope).values
    mode = headers.get(b"x-auth-mode")
    if mode is None:
        return None
    if mode.lower() != b"cookie":
        raise refuse(400, "X-Auth-Mode must be `cookie`, or left out.")
    if headers.get(b"sec-fetch-site") == b"cross-site":
        # The browser would keep no cookie, and send none.
        message = "Cookies are for pages of one site: call the API by the page's own host; localhost is not 127.0.0.1."
        raise refuse(403, message, code="FORBIDDEN")
    if not is_named_origin(scope, settings):
        message = "The cookie is not for pages of this origin; name it in ALLOWED_ORIGINS, where `*` does not count."
        raise refuse(403, message, code="FORBIDDEN")
    found = _TOKEN.search(headers.get(b"cookie", b""))
    return SessionCookie(found[1].decode("ascii") if found else "")


def set_cookie_headers(cookie: SessionCookie | None, scope: Scope, settings: Settings, path: str) -> tuple[Header, ...]:
    """Return the header that sets or removes the cookie for the one path that refreshes sessions, if there is one."""
    if cookie is None or cookie.max_age_s is None:
        return ()
    prefix = urlsplit(settings.public_url or "").path.rstrip("/")
    parts = [f"{NAME}={cookie.token}", f"Max-Age={cookie.max_age_s}", f"Path={prefix}{path}", "HttpOnly"]
    parts += ["Secure", "SameSite=Lax"] if _is_secure(scope, settings) else ["SameSite=Lax"]
    return ((b"set-cookie", "; ".join(parts).encode("ascii")),)


def _is_secure(scope: Scope, settings: Settings) -> bool:
    """Return whether the browser may send it by HTTPS alone; without, telephones can try out a development server."""
    if settings.is_production or scope["scheme"] == "https":
        return True
    return _LOOPBACK.fullmatch(get_request_headers(scope).values.get(b"host", b"")) is not None
