"""The issuer whose access tokens are accepted beside our own: where its keys are, and whom its tokens must be for."""

from dataclasses import dataclass
from typing import Final

import httpx2

from core.settings import ANY_AUDIENCE, Settings, SettingsError

_KEY_SET_PATH: Final = "/api/auth/jwks"


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """An issuer of access tokens; an audience of None is not checked."""

    name: str
    key_set_url: str
    audience: str | None


def trusted_issuer(settings: Settings) -> TrustedIssuer | None:
    """Return the issuer that the settings name, None where they name none; BETTER_AUTH_URL gives what is left out."""
    url = settings.better_auth_url
    origin = None if url is None else origin_of(url)
    found = {
        "AUTH_JWKS_URL": settings.auth_jwks_url or (url and url.rstrip("/") + _KEY_SET_PATH),
        "AUTH_ISSUER": settings.auth_issuer or origin,
        "AUTH_AUDIENCE": settings.auth_audience or origin,
    }
    key_set_url, name, audience = found.values()
    if key_set_url and name and audience:
        return TrustedIssuer(name, key_set_url, None if audience == ANY_AUDIENCE else audience)
    needed = any(found.values()) or settings.auth_webhook_secret or settings.better_auth_table
    if not needed:
        return None
    missing = next(setting for setting, value in found.items() if not value)
    raise SettingsError(f"{missing} is missing: set BETTER_AUTH_URL or all of {', '.join(found)}; see docs/identity.md")


def origin_of(url: str) -> str:
    """Return a URL's origin as browsers serialise it, without the default port of its scheme."""
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL:
        parsed = httpx2.URL()
    if not parsed.host:
        raise SettingsError("BETTER_AUTH_URL is wrong: it is no URL; write it such as https://app.example.com")
    return f"{parsed.scheme}://{parsed.netloc.decode('ascii')}"
