"""Who sends a token: ours by our own key, Better Auth's by its key set; refused once the session is over."""

from collections.abc import Callable
from datetime import timedelta
from typing import Final, NamedTuple

from core.clock import utc_now
from core.database import Database
from core.errors import UnauthenticatedError
from core.settings import Settings
from core.tokens import AccessClaims, AccessTokens, invalid_token, read_key_id
from services.accounts.better_auth import BetterAuth
from services.accounts.caller import Caller
from services.accounts.session_cache import Gate, Standing
from services.accounts.sessions import standing_of
from services.query.sql import execute

_MOST_KNOWN: Final = 10_000


class _Known(NamedTuple):
    """What a token was found to say, and the standing by which its caller was let in."""

    key: tuple[str, str]
    standing: Standing
    caller: Caller


class Authenticator:
    """Turns a token into a caller.

    A token of ours is verified once, and then known by its text for as long as the gate knows its session to stand.
    """

    def __init__(self, database: Database, settings: Settings) -> None:
        self.tokens = AccessTokens(settings.secret_key, timedelta(minutes=settings.access_token_expire_minutes))
        self._database = database
        self._gate = Gate()
        self._known: dict[str, _Known] = {}
        self.on_forget: list[Callable[[str], None]] = []
        url = settings.better_auth_url
        self._better_auth = BetterAuth(database, self._gate, url) if url is not None else None

    async def authenticate(self, token: str) -> Caller:
        """Return the caller whom the token speaks for, or raise UnauthenticatedError."""
        known = self.recall(token)
        if known is not None:
            return known
        key_id = read_key_id(token)
        if key_id == self.tokens.key_id:
            return await self._authenticate_local(token)
        if self._better_auth is None:
            raise invalid_token()
        return await self._better_auth.authenticate(token, key_id)

    def recall(self, token: str) -> Caller | None:
        """Return the caller of a token that is known and still good; None says nothing of it."""
        known = self._known.get(token)
        if known is None or not self._gate.still_knows(known.standing, known.key):
            return None
        return known.caller if known.caller.expires_at > utc_now() else None

    async def _authenticate_local(self, token: str) -> Caller:
        self._known.pop(token, None)
        claims = self.tokens.verify(token)
        key = (claims.user_id, claims.session_id)
        standing = await self._gate.standing(key, claims.user_id, lambda: self._standing(claims))
        if standing is None:
            raise UnauthenticatedError("The session is over; sign in again.")
        caller = Caller(claims.user_id, claims.session_id, standing.is_admin, claims.expires_at)
        self._keep(token, _Known(key, standing, caller))
        return caller

    def _keep(self, token: str, known: _Known) -> None:
        if len(self._known) >= _MOST_KNOWN:
            del self._known[next(iter(self._known))]
        self._known[token] = known

    async def _standing(self, claims: AccessClaims) -> Standing | None:
        async with self._database.read() as session:
            row = (await execute(session, standing_of(claims.user_id, claims.session_id))).one_or_none()
        return None if row is None else Standing(row.is_admin)

    def forget(self, user_id: str) -> None:
        """Ask the database anew about the user: call it after each commit that ends a session or changes a right."""
        self._gate.forget(user_id)
        for listener in self.on_forget:
            listener(user_id)

    async def close(self) -> None:
        """Close the connections to Better Auth."""
        if self._better_auth is not None:
            await self._better_auth.close()
