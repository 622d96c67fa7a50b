"""Authentication: turns access tokens, ours or those of another issuer, into callers."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any, Final

from core.cache import LRUCache
from core.clock import utc_now
from core.database import Database
from core.errors import UnauthenticatedError
from core.settings import Settings
from core.tokens import AccessClaims, AccessTokens, expired_token, invalid_token, read_key_id
from core.trusted_issuer import trusted_issuer
from services.accounts.caller import Caller
from services.accounts.identity_provider import IdentityProvider
from services.accounts.session_cache import SessionCache, SessionStatus
from services.accounts.sessions import load_session_status

_MAX_TOKEN_CACHE_BYTES: Final = 10 * 1024 * 1024
_MAX_LINKS_BYTES: Final = 1024 * 1024
# The claims of a token, and what the cache itself takes for an entry.
_CLAIMS_BYTES: Final = 700


class Authenticator:
    """Authenticates access tokens.

    The signature of a token of ours is verified once, then cached; its session is looked up in the session cache.
    """

    def __init__(self, database: Database, settings: Settings) -> None:
        lifetime = timedelta(minutes=settings.access_token_expire_minutes)
        self.tokens = AccessTokens(settings.secret_key, lifetime, settings.secret_key_previous)
        self.on_invalidate: list[Callable[[str], None]] = []
        self._database = database
        self._sessions = SessionCache()
        self._verified: LRUCache[str, AccessClaims] = LRUCache("access_tokens", max_bytes=_MAX_TOKEN_CACHE_BYTES)
        self._needs_verified = settings.require_verified_email
        self._linked: LRUCache[str, str] = LRUCache("linked_accounts", max_bytes=_MAX_LINKS_BYTES)
        self.identity_provider: IdentityProvider | None = None
        if (issuer := trusted_issuer(settings)) is not None:
            self.identity_provider = IdentityProvider(database, self._sessions, self._linked, issuer, settings)

    @property
    def caches(self) -> tuple[LRUCache[Any, Any], ...]:
        """Return the caches whose counts /metrics shows."""
        return self._verified, self._sessions.entries, self._linked

    async def authenticate(self, token: str) -> Caller:
        """Return the caller that a token authenticates, or raise UnauthenticatedError."""
        cached = self.get_cached(token)
        if cached is not None:
            return cached
        if token not in self._verified and not self.tokens.is_known(key_id := read_key_id(token)):
            if self.identity_provider is None:
                raise invalid_token()
            return await self.identity_provider.authenticate(token, key_id)
        return await self._authenticate_local(token)

    def get_cached(self, token: str) -> Caller | None:
        """Return the caller of a token whose claims and session are cached; None does not mean that it is invalid."""
        claims = self._verified.get(token)
        if claims is None or claims.expires_at <= utc_now():
            return None
        status = self._sessions.get_cached(claims.user_id, claims.session_id)
        return None if status is None else _caller(claims, status)

    def invalidate(self, user_id: str) -> None:
        """Drop what every process has cached about a user, after each commit that ends a session or changes a right."""
        self.drop(user_id)
        for listener in self.on_invalidate:
            listener(user_id)

    def drop(self, user_id: str) -> None:
        """Drop what this process has cached about a user."""
        self._sessions.invalidate(user_id)

    async def close(self) -> None:
        """Close the connections to the other issuer."""
        if self.identity_provider is not None:
            await self.identity_provider.close()

    async def _authenticate_local(self, token: str) -> Caller:
        claims = self._verified.get(token)
        if claims is None:
            claims = self.tokens.verify(token)
            self._verified.put(token, claims, len(token) + _CLAIMS_BYTES)
        elif claims.expires_at <= utc_now():
            raise expired_token()
        user_id, session_id = claims.user_id, claims.session_id
        load = partial(
            load_session_status,
            self._database.batch_loader,
            user_id,
            session_id,
            needs_verified=self._needs_verified,
        )
        status = await self._sessions.get(user_id, session_id, load)
        if status is None:
            raise UnauthenticatedError("The session is over; sign in again.")
        return _caller(claims, status)


def _caller(claims: AccessClaims, status: SessionStatus) -> Caller:
    return Caller(claims.user_id, claims.session_id, status.is_admin, claims.expires_at, may_write=status.may_write)
