"""Signed tokens: how any is verified, and the access tokens that this server signs itself."""

import json
import re
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final

from jose import jwk, jws, jwt
from jose.backends.base import Key
from jose.exceptions import JWKError

from core.clock import utc_now
from core.errors import UnauthenticatedError
from core.ids import parse_id
from core.settings import SettingsError
from core.text import is_storable

ISSUER: Final = "tasktalk"
AUDIENCE: Final = "tasktalk"
MOST_SUBJECT_LENGTH: Final = 255

_MOST_TOKEN_BYTES: Final = 8 * 1024
# Three parts, so never JWE, and none of the stray characters that the decoder would pass over.
_COMPACT_FORM: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_CLOCK_LEEWAY: Final = timedelta(seconds=60)
_NOT_VALID: Final = "The access token is not valid; sign in again."
_EXPIRED: Final = "The access token has expired; refresh the session or sign in again."


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A key and the only algorithm that it is used with."""

    algorithm: str
    key: Key = field(repr=False)


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified token says."""

    subject: str
    issued_at: datetime
    expires_at: datetime
    payload: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A signed token as the client gets it."""

    text: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """Whom an access token of ours speaks for."""

    user_id: str
    session_id: str
    expires_at: datetime


def invalid_token() -> UnauthenticatedError:
    """Return the one answer to every token that cannot be trusted."""
    return UnauthenticatedError(_NOT_VALID)


def expired_token() -> UnauthenticatedError:
    """Return the answer to a token that was good."""
    return UnauthenticatedError(_EXPIRED)


def read_key_id(token: str) -> str:
    """Return the id of the key that the token claims to be signed with; nothing of it is trusted yet."""
    if len(token) > _MOST_TOKEN_BYTES or not _COMPACT_FORM.fullmatch(token):
        raise invalid_token()
    try:
        header = jws.get_unverified_header(token)
    except Exception:  # noqa: BLE001 - a hostile header can raise anything, RecursionError included
        raise invalid_token() from None
    key_id = header.get("kid")
    if "crit" in header or not isinstance(key_id, str) or not key_id:
        raise invalid_token()
    return key_id


def verify_token(token: str, key: VerificationKey, *, issuer: str, audience: str) -> Claims:
    """Return the claims of a token that passed `read_key_id`; refuse it where anything is wrong or missing."""
    try:
        payload = json.loads(jws.verify(token, key.key, [key.algorithm]), parse_constant=_refuse_constant)
        claims = _checked_claims(payload, issuer, audience)
    except Exception:  # noqa: BLE001 - hostile claims can raise anything, OverflowError included
        raise invalid_token() from None
    if claims.expires_at <= utc_now():
        raise expired_token()
    return claims


def _checked_claims(payload: dict[str, Any], issuer: str, audience: str) -> Claims:
    subject = payload["sub"]
    issued_at, expires_at = _moment(payload["iat"]), _moment(payload["exp"])
    latest_start = utc_now() + _CLOCK_LEEWAY
    if (
        payload["iss"] != issuer
        or not _is_meant_for(audience, payload["aud"])
        or not isinstance(subject, str)
        or not 1 <= len(subject) <= MOST_SUBJECT_LENGTH
        or not is_storable(subject)
        or max(issued_at, _moment(payload.get("nbf", 0))) > latest_start
    ):
        raise invalid_token()
    return Claims(subject, issued_at, expires_at, payload)


def _is_meant_for(audience: str, named: Any) -> bool:
    return named == audience or (isinstance(named, list) and audience in named)


def _moment(seconds: Any) -> datetime:
    if type(seconds) is not int:
        raise TypeError("a time must be a whole number of seconds")
    return datetime.fromtimestamp(seconds, UTC)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _secret(secret_key: str) -> Key:
    try:
        return jwk.construct(secret_key, "HS256")
    except JWKError:
        raise SettingsError("SECRET_KEY is wrong: it is one half of a key pair; write a random text instead") from None


class AccessTokens:
    """Signs and verifies the tokens of those who signed in here."""

    def __init__(self, secret_key: str, lifetime: timedelta) -> None:
        self._key = VerificationKey("HS256", _secret(secret_key))
        self._lifetime = lifetime
        fingerprint = sha256(b"tasktalk access token key\0" + secret_key.encode()).digest()[:12]
        self.key_id = urlsafe_b64encode(fingerprint).decode()

    def issue(self, user_id: str, session_id: str) -> AccessToken:
        """Return a new token of the user for the session."""
        issued_at = utc_now().replace(microsecond=0)
        expires_at = issued_at + self._lifetime
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": user_id,
            "sid": session_id,
            "iat": int(issued_at.timestamp()),
            "exp": int(expires_at.timestamp()),
            "jti": secrets.token_urlsafe(12),
        }
        text = jwt.encode(claims, self._key.key, self._key.algorithm, headers={"kid": self.key_id})
        return AccessToken(text, expires_at)

    def verify(self, token: str) -> AccessClaims:
        """Return whom the token speaks for; whether their session still stands is asked elsewhere."""
        if read_key_id(token) != self.key_id:
            raise invalid_token()
        claims = verify_token(token, self._key, issuer=ISSUER, audience=AUDIENCE)
        session_id = claims.payload.get("sid")
        if not isinstance(session_id, str) or parse_id(session_id) != session_id:
            raise invalid_token()
        return AccessClaims(claims.subject, session_id, claims.expires_at)
