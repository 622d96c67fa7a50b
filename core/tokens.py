"""Tokens: verification of JSON Web Tokens, the access tokens (JWT) signed here, and the refresh tokens."""

import hmac
import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from jose import jwk, jws, jwt
from jose.backends.base import Key
from jose.exceptions import JWKError

from core.clock import utc_now
from core.errors import NotFoundError, UnauthenticatedError
from core.ids import parse_id
from core.settings import SettingsError
from core.text import is_storable

ISSUER: Final = "tasktalk"
AUDIENCE: Final = "tasktalk"
MAX_SUBJECT_LENGTH: Final = 255

_MAX_TOKEN_BYTES: Final = 8 * 1024
# Exactly three parts, so never a JWE, and none of the stray characters that the base64 decoder would skip.
_COMPACT_FORM: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_CLOCK_LEEWAY: Final = timedelta(seconds=60)

_ID_BYTES: Final = 16
_GENERATION_BYTES: Final = 4
_SECRET_BYTES: Final = 24
_SIGNATURE_BYTES: Final = 16
_SIGNED_BYTES: Final = _ID_BYTES + _GENERATION_BYTES + _SECRET_BYTES
# 60 bytes encode to 80 characters without padding or spare bits, so each token has exactly one spelling.
_REFRESH_FORM: Final = re.compile(r"[A-Za-z0-9_-]{80}")
_LINK_SIGNATURE_BYTES: Final = 20
# 36 bytes, so 48 characters, in the same way.
_LINK_FORM: Final = re.compile(r"[A-Za-z0-9_-]{48}")


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A key and the only algorithm that it may be used with."""

    algorithm: str
    key: Key = field(repr=False)


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of a verified token."""

    subject: str
    issued_at: datetime
    expires_at: datetime
    # When the user has signed in, as far as the token tells.
    authenticated_at: datetime
    payload: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class SignedToken:
    """A new access token and its expiry."""

    text: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """The user and the session that a verified access token of ours names."""

    user_id: str
    session_id: str
    expires_at: datetime


def invalid_token() -> UnauthenticatedError:
    """Return the error for every token that cannot be trusted; it does not say what is wrong with it."""
    return UnauthenticatedError("The access token is not valid; sign in again.")


def expired_token() -> UnauthenticatedError:
    """Return the error for a valid token that has expired."""
    return UnauthenticatedError("The access token has expired; refresh the session or sign in again.")


def read_key_id(token: str) -> str:
    """Return the `kid` of a token's header, before its signature is verified; refuse malformed tokens."""
    if len(token) > _MAX_TOKEN_BYTES or not _COMPACT_FORM.fullmatch(token):
        raise invalid_token()
    try:
        header = jws.get_unverified_header(token)
    except Exception:  # noqa: BLE001 - a hostile header can raise anything, RecursionError included
        raise invalid_token() from None
    key_id = header.get("kid")
    if "crit" in header or not isinstance(key_id, str) or not key_id:
        raise invalid_token()
    return key_id


def verify_token(token: str, key: VerificationKey, *, issuer: str, audience: str | None) -> Claims:
    """Return the claims of a token that passed `read_key_id`; refuse it if its signature or any claim is invalid.

    An audience of None is not checked.
    """
    try:
        payload = json.loads(jws.verify(token, key.key, [key.algorithm]), parse_constant=_reject_constant)
        claims = _checked_claims(payload, issuer, audience)
    except Exception:  # noqa: BLE001 - hostile claims can raise anything, OverflowError included
        raise invalid_token() from None
    if claims.expires_at <= utc_now():
        raise expired_token()
    return claims


def _checked_claims(payload: dict[str, Any], issuer: str, audience: str | None) -> Claims:
    subject = payload["sub"]
    issued_at, expires_at = _read_time(payload["iat"]), _read_time(payload["exp"])
    latest_start = utc_now() + _CLOCK_LEEWAY
    if (
        payload["iss"] != issuer
        or not (audience is None or _has_audience(audience, payload["aud"]))
        or not isinstance(subject, str)
        or not 1 <= len(subject) <= MAX_SUBJECT_LENGTH
        or not is_storable(subject)
        or max(issued_at, _read_time(payload.get("nbf", 0))) > latest_start
    ):
        raise invalid_token()
    authenticated_at = _read_time(payload["auth_time"]) if "auth_time" in payload else issued_at
    return Claims(subject, issued_at, expires_at, authenticated_at, payload)


def _has_audience(audience: str, claim: Any) -> bool:
    return claim == audience or (isinstance(claim, list) and audience in claim)


def _read_time(seconds: Any) -> datetime:
    if type(seconds) is not int:
        raise TypeError("a time claim must be an integer of seconds")
    return datetime.fromtimestamp(seconds, UTC)


def _reject_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")


def _hmac_key(secret_key: str) -> Key:
    try:
        return jwk.construct(secret_key, "HS256")
    except JWKError:
        raise SettingsError("SECRET_KEY is wrong: it is one half of a key pair; write a random text instead") from None


def _key_id(secret_key: str) -> str:
    fingerprint = sha256(b"tasktalk access token key\0" + secret_key.encode()).digest()[:12]
    return urlsafe_b64encode(fingerprint).decode()


class AccessTokens:
    """Issue and verify the access tokens of users who sign in here: JWTs signed with HS256.

    The keys before the present one, `previous_keys`, only verify.
    """

    def __init__(self, secret_key: str, lifetime: timedelta, previous_keys: Sequence[str] = ()) -> None:
        self.key_id = _key_id(secret_key)
        self._keys = {_key_id(key): VerificationKey("HS256", _hmac_key(key)) for key in (secret_key, *previous_keys)}
        self._lifetime = lifetime

    def is_known(self, key_id: str) -> bool:
        """Return whether a token that names this key is one of ours."""
        return key_id in self._keys

    def issue(
        self, user_id: str, session_id: str, generation: int = 0, issued_at: datetime | None = None
    ) -> SignedToken:
        """Return the access token of a generation of the user's session: issued at the same moment, the same text."""
        issued_at = (issued_at or utc_now()).replace(microsecond=0)
        expires_at = issued_at + self._lifetime
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": user_id,
            "sid": session_id,
            "iat": int(issued_at.timestamp()),
            "exp": int(expires_at.timestamp()),
            "jti": f"{session_id}.{generation}",
        }
        key = self._keys[self.key_id]
        text = jwt.encode(claims, key.key, key.algorithm, headers={"kid": self.key_id})
        return SignedToken(text, expires_at)

    def verify(self, token: str) -> AccessClaims:
        """Return the user and session of a token; whether the session is still active is for the caller to check."""
        key = self._keys.get(read_key_id(token))
        if key is None:
            raise invalid_token()
        claims = verify_token(token, key, issuer=ISSUER, audience=AUDIENCE)
        session_id = claims.payload.get("sid")
        if not isinstance(session_id, str) or parse_id(session_id) != session_id:
            raise invalid_token()
        return AccessClaims(claims.subject, session_id, claims.expires_at)


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A refresh token of a session; each rotation increments its generation."""

    session_id: str
    generation: int
    text: str = field(repr=False)

    @property
    def hash(self) -> str:
        """Return the SHA-256 digest that is stored instead of the token."""
        return sha256(self.text.encode()).hexdigest()


def invalid_refresh_token() -> UnauthenticatedError:
    """Return the error for every refresh token that cannot be used."""
    return UnauthenticatedError("The refresh token is not valid any more; sign in.", path=("input", "refreshToken"))


class RefreshTokens:
    """Issue and read refresh tokens: session id, generation and secret bytes, signed with HMAC.

    The secret bytes are an HMAC of the session's seed, so that any process can give the token of a generation again,
    and nobody can make it from the database without SECRET_KEY. The signature keeps made-up tokens from reaching the
    database. The keys before the present one, `previous_keys`, sign nothing new.
    """

    def __init__(self, secret_key: str, previous_keys: Sequence[str] = ()) -> None:
        self._keys = _keys_for(b"tasktalk refresh tokens", secret_key, *previous_keys)

    def issue(self, session_id: str, generation: int, seed: str) -> RefreshToken:
        """Return the token for a generation of the session that has this seed."""
        return _make_refresh_token(self._keys[0], session_id, generation, seed)

    def find(self, session_id: str, generation: int, seed: str, token_hash: str) -> RefreshToken | None:
        """Return the token for a generation that has this hash, as it was issued; None if it was made otherwise."""
        tokens = (_make_refresh_token(key, session_id, generation, seed) for key in self._keys)
        return next((token for token in tokens if token.hash == token_hash), None)

    def read(self, text: str) -> RefreshToken:
        """Parse a token and verify its signature; only the database knows whether it has been used."""
        if not _REFRESH_FORM.fullmatch(text):
            raise invalid_refresh_token()
        content = urlsafe_b64decode(text)
        signed, signature = content[:_SIGNED_BYTES], content[_SIGNED_BYTES:]
        if not any(hmac.compare_digest(signature, _sign(key, signed)) for key in self._keys):
            raise invalid_refresh_token()
        generation = int.from_bytes(signed[_ID_BYTES : _ID_BYTES + _GENERATION_BYTES])
        return RefreshToken(str(UUID(bytes=signed[:_ID_BYTES])), generation, text)


def _keys_for(purpose: bytes, *secret_keys: str) -> list[bytes]:
    """Return the keys of one purpose, of which the first signs and all verify."""
    return [hmac.digest(key.encode(), purpose, "sha256") for key in secret_keys]


def _make_refresh_token(key: bytes, session_id: str, generation: int, seed: str) -> RefreshToken:
    named = UUID(session_id).bytes + generation.to_bytes(_GENERATION_BYTES)
    signed = named + hmac.digest(key, b"secret\0" + named + seed.encode(), "sha256")[:_SECRET_BYTES]
    return RefreshToken(session_id, generation, urlsafe_b64encode(signed + _sign(key, signed)).decode())


def _sign(key: bytes, signed: bytes) -> bytes:
    return hmac.digest(key, signed, "sha256")[:_SIGNATURE_BYTES]


class LinkPurpose(StrEnum):
    """What a link in an e-mail is for."""

    VERIFY_EMAIL = "verify"
    RESET_PASSWORD = "reset"  # noqa: S105 - no password


class LinkTokens:
    """Issue and read the tokens of links in e-mails: the id of the e-mail's row, signed with HMAC for one purpose.

    Nothing that is stored gives a token away. The row says until when it is good, and goes when it is used.
    """

    def __init__(self, secret_key: str, previous_keys: Sequence[str] = ()) -> None:
        self._keys = _keys_for(b"tasktalk links in e-mails", secret_key, *previous_keys)

    def issue(self, purpose: LinkPurpose, email_id: str) -> str:
        """Return the token of an e-mail."""
        signed = UUID(email_id).bytes
        return urlsafe_b64encode(signed + _sign_link(self._keys[0], purpose, signed)).decode()

    def read(self, purpose: LinkPurpose, text: str) -> str:
        """Return the id of the e-mail; refuse what is not signed for the purpose."""
        if not _LINK_FORM.fullmatch(text):
            raise invalid_link()
        content = urlsafe_b64decode(text)
        signed, signature = content[:_ID_BYTES], content[_ID_BYTES:]
        if not any(hmac.compare_digest(signature, _sign_link(key, purpose, signed)) for key in self._keys):
            raise invalid_link()
        return str(UUID(bytes=signed))


def _sign_link(key: bytes, purpose: LinkPurpose, signed: bytes) -> bytes:
    return hmac.digest(key, purpose.encode() + b"\0" + signed, "sha256")[:_LINK_SIGNATURE_BYTES]


def invalid_link() -> NotFoundError:
    """Return the error for every token of a link that cannot be used."""
    return NotFoundError("The link is not valid any more; ask for another one.", path=("input", "token"))
