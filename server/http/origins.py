"""Which pages of other origins may call; browsers tell where a page is from."""

import re
from typing import Final

from starlette.types import Scope

from core.settings import Settings

LOCAL: Final = r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?"
_LOCAL: Final = re.compile(LOCAL, re.IGNORECASE)


def welcomes_local_pages(settings: Settings) -> bool:
    """Tell whether pages that this machine serves may call: while one develops, and until the setting says which."""
    return not settings.is_production and not settings.allowed_origins


def is_welcome(scope: Scope, settings: Settings) -> bool:
    """Tell whether a page may call: our own, one from the settings, or a program that is no page."""
    headers = dict(scope["headers"])
    origin = headers.get(b"origin")
    if origin is None:
        return True
    text = origin.decode("latin-1").lower()
    if welcomes_local_pages(settings) and _LOCAL.fullmatch(text):
        return True
    allowed = {each.lower() for each in settings.allowed_origins}
    host = headers.get(b"host", b"").decode("latin-1").lower()
    # Behind what ends TLS, a secure page's request arrives as a plain one.
    schemes = ("https",) if scope["scheme"] == "wss" else ("https", "http")
    return "*" in allowed or text in allowed.union(f"{scheme}://{host}" for scheme in schemes)
