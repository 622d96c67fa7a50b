"""Refresh tokens: they carry their session and generation under a seal, so that garbage never reaches the database."""

import hmac
import re
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final
from uuid import UUID

from core.errors import UnauthenticatedError

_ID_BYTES: Final = 16
_GENERATION_BYTES: Final = 4
_SECRET_BYTES: Final = 24
_SEAL_BYTES: Final = 16
_SEALED_BYTES: Final = _ID_BYTES + _GENERATION_BYTES + _SECRET_BYTES
# 60 bytes make 80 characters with no padding and no spare bits: each token has one spelling.
_FORM: Final = re.compile(r"[A-Za-z0-9_-]{80}")


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A token of a session; each generation replaces the one before."""

    session_id: str
    generation: int
    text: str = field(repr=False)

    @property
    def hash(self) -> str:
        """Return what is stored in the token's stead."""
        return sha256(self.text.encode()).hexdigest()


def invalid_refresh_token() -> UnauthenticatedError:
    """Return the one answer to every refresh token that cannot be used."""
    return UnauthenticatedError("The refresh token is not valid any more; sign in.", path=("input", "refreshToken"))


class RefreshTokens:
    """Makes and reads refresh tokens."""

    def __init__(self, secret_key: str) -> None:
        self._key = hmac.digest(secret_key.encode(), b"tasktalk refresh tokens", "sha256")

    def issue(self, session_id: str, generation: int) -> RefreshToken:
        """Return a new token, unlike any before it."""
        sealed = UUID(session_id).bytes + generation.to_bytes(_GENERATION_BYTES) + secrets.token_bytes(_SECRET_BYTES)
        return RefreshToken(session_id, generation, urlsafe_b64encode(sealed + self._seal(sealed)).decode())

    def read(self, text: str) -> RefreshToken:
        """Return a token that was issued here; whether it is spent only the database knows."""
        if not _FORM.fullmatch(text):
            raise invalid_refresh_token()
        content = urlsafe_b64decode(text)
        sealed, seal = content[:_SEALED_BYTES], content[_SEALED_BYTES:]
        if not hmac.compare_digest(seal, self._seal(sealed)):
            raise invalid_refresh_token()
        generation = int.from_bytes(sealed[_ID_BYTES : _ID_BYTES + _GENERATION_BYTES])
        return RefreshToken(str(UUID(bytes=sealed[:_ID_BYTES])), generation, text)

    def _seal(self, sealed: bytes) -> bytes:
        return hmac.digest(self._key, sealed, "sha256")[:_SEAL_BYTES]
