"""The context of an operation: the authenticated caller, the session factory, and fresh data loaders."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias, TypeVar

import strawberry
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession
from strawberry.dataloader import DataLoader

from assistant.assistant import Assistant
from core.clock import utc_now
from core.database import Database
from core.errors import UnauthenticatedError
from core.passwords import Passwords
from core.settings import Settings
from core.workload import continue_workload
from live.live import Live
from services.accounts.accounts import Accounts, SessionTokens
from services.accounts.audit import Client
from services.accounts.authentication import Authenticator
from services.accounts.caller import Caller
from services.accounts.emails import Emails
from services.accounts.rate_limit import CostRateLimit
from services.query.sql import Source

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Batch:
    """Reading the rows of many ids by one statement: the key of a data loader, shared by fields with equal ones."""

    read: Callable[..., Awaitable[list[Any]]]
    caller: Caller
    columns: frozenset[str]
    model: type[SQLModel] | None = None

    async def load(self, source: Source, ids: Sequence[str]) -> list[Any]:
        """Return the rows of the ids, in their order."""
        model = {} if self.model is None else {"model": self.model}
        return await self.read(source, self.caller, ids=ids, columns=self.columns, **model)


@dataclass(frozen=True, slots=True)
class Runtime:
    """Objects that live as long as the application."""

    settings: Settings
    database: Database
    passwords: Passwords
    authenticator: Authenticator
    accounts: Accounts
    emails: Emails
    live: Live
    assistant: Assistant
    cost_limit: CostRateLimit | None = None


@dataclass(slots=True)
class SessionCookie:
    """The refresh token in the cookie of a request in cookie mode, and for how long its answer sets it, if at all."""

    token: str = ""
    max_age_s: int | None = None

    def keep(self, tokens: SessionTokens) -> None:
        """Let the answer set the cookie to a session's refresh token."""
        self.token = tokens.refresh_token
        self.max_age_s = max(1, round((tokens.session_ends_at - utc_now()).total_seconds()))

    def clear(self) -> None:
        """Let the answer remove the cookie."""
        self.token, self.max_age_s = "", 0


@dataclass(slots=True)
class Context:
    """The context of one operation. It holds no open session: fields run concurrently, a session cannot."""

    runtime: Runtime
    caller: Caller | None
    request_id: str
    client_address: str
    user_agent: str = ""
    # Why the token that was sent is refused; the fields that need no caller are answered all the same.
    token_error: UnauthenticatedError | None = None
    # None unless the request is in cookie mode.
    cookie: SessionCookie | None = None
    loaders: dict[Batch, DataLoader[str, Any]] = field(default_factory=dict)
    # Done when the client has disconnected; made when it is needed: few operations wait for more than the database.
    _disconnected: asyncio.Future[None] | None = None
    # Called once, when it ends or only waits: others of its user may run.
    end_turn: Callable[[], None] = lambda: None
    # When no further field of a mutation begins, by the clock of the event loop.
    ends_at_s: float = math.inf

    def __post_init__(self) -> None:
        """Let what the operation does count as its caller's."""
        continue_workload(user_id=self.user_id, address=self.client_address)

    @property
    def user_id(self) -> str | None:
        """Return the authenticated user's id, or None for an anonymous caller."""
        return None if self.caller is None else self.caller.user_id

    @property
    def client(self) -> Client:
        """Return where the request comes from, for the audit log."""
        return Client(self.client_address, self.user_agent)

    @property
    def database(self) -> Database:
        """Return the factory of sessions."""
        return self.runtime.database

    def require_caller(self) -> Caller:
        """Return the caller; raise UnauthenticatedError for an anonymous one."""
        if self.caller is None:
            raise self.token_error or UnauthenticatedError(
                "Sign in first: send an access token as `Authorization: Bearer …`."
            )
        return self.caller

    async def refresh_session(self, refresh_token: str) -> SessionTokens:
        """Refresh a session by its token or, where that is empty, by the cookie, which goes where it is refused."""
        if self.cookie is not None:
            refresh_token = refresh_token or self.cookie.token
        try:
            return await self.runtime.accounts.refresh(refresh_token, self.client)
        except UnauthenticatedError:
            if self.cookie is not None:
                self.cookie.clear()
            raise

    def refresh_token_of(self, tokens: SessionTokens) -> str | None:
        """Return the refresh token for the answer's body; in cookie mode None, for it goes into the cookie."""
        if self.cookie is None:
            return tokens.refresh_token
        self.cookie.keep(tokens)
        return None

    async def sign_out(self) -> None:
        """End the caller's session, and remove its cookie."""
        await self.runtime.accounts.sign_out(self.require_caller(), self.client)
        if self.cookie is not None:
            self.cookie.clear()

    async def load(
        self,
        read: Callable[..., Awaitable[list[Any]]],
        columns: frozenset[str],
        ids: Sequence[str | None],
        model: type[SQLModel] | None = None,
    ) -> list[Any]:
        """Return the rows of the ids by one statement for those of all fields that were not loaded yet."""
        batch = Batch(read, self.require_caller(), columns, model)
        if (loader := self.loaders.get(batch)) is None:
            loader = self.loaders[batch] = DataLoader(partial(batch.load, self.database.reader))
        known = list(dict.fromkeys(row_id for row_id in ids if row_id is not None))
        found = dict(zip(known, await loader.load_many(known), strict=True))
        return [None if row_id is None else found[row_id] for row_id in ids]

    def write(self, work: Callable[[AsyncSession, Caller], Awaitable[Result]]) -> Awaitable[Result]:
        """Run the work in one transaction, committed before anything else loads; then clear the loaders."""
        caller = self.require_caller()
        return self.changing(self.database.write(lambda session: work(session, caller)))

    def create(self, work: Callable[[Database, Caller], Awaitable[Result]]) -> Awaitable[Result]:
        """Run work that has its own transaction; otherwise as `write`."""
        return self.changing(work(self.database, self.require_caller()))

    async def changing(self, work: Awaitable[Result]) -> Result:
        """Await work that changes rows, then clear the loaders."""
        result = await work
        self.loaders.clear()
        return result

    async def wait_while_connected(self, work: Awaitable[Result]) -> Result | None:
        """Await work that nobody else needs; cancel it and return None once the client has disconnected."""
        self.end_turn()
        disconnected = self._get_disconnected()
        task, began_s = asyncio.ensure_future(work), asyncio.get_running_loop().time()
        try:
            await asyncio.wait((task, disconnected), return_when=asyncio.FIRST_COMPLETED)
            return await task if task.done() else None
        finally:
            task.cancel()
            self.ends_at_s += asyncio.get_running_loop().time() - began_s

    @property
    def has_time(self) -> bool:
        """Tell whether a field may begin."""
        return asyncio.get_running_loop().time() < self.ends_at_s

    @property
    def is_disconnected(self) -> bool:
        """Tell whether the client has disconnected."""
        return self._disconnected is not None and self._disconnected.done()

    def mark_disconnected(self) -> None:
        """Record that the client has disconnected."""
        if not self._get_disconnected().done():
            self._get_disconnected().set_result(None)

    def _get_disconnected(self) -> asyncio.Future[None]:
        self._disconnected = self._disconnected or asyncio.get_running_loop().create_future()
        return self._disconnected


Info: TypeAlias = strawberry.Info[Context, None]
