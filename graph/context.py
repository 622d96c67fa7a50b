"""What resolvers are given: the authenticated caller, the session factory, and loaders fresh for each operation."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, TypeAlias, TypeVar

import strawberry
from sqlmodel.ext.asyncio.session import AsyncSession
from strawberry.dataloader import DataLoader

from assistant.assistant import Assistant
from core.database import Database
from core.errors import UnauthenticatedError
from core.passwords import Passwords
from core.settings import Settings
from live.live import Live
from services.accounts.accounts import Accounts
from services.accounts.authentication import Authenticator
from services.accounts.caller import Caller
from services.query.sql import Source

Result = TypeVar("Result")


class Batch(Protocol):
    """Loads the values of many keys by one statement, in the order of the keys."""

    async def load(self, source: Source, keys: list[str]) -> list[Any]:
        """Load the values of the keys."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """What lives as long as the application."""

    settings: Settings
    database: Database
    passwords: Passwords
    authenticator: Authenticator
    accounts: Accounts
    live: Live
    assistant: Assistant


@dataclass(slots=True)
class Context:
    """What lives as long as one operation. It holds no open session: fields run concurrently, a session cannot."""

    runtime: Runtime
    caller: Caller | None
    request_id: str
    client_address: str
    loaders: dict[Batch, DataLoader[str, Any]] = field(default_factory=dict)
    # Made when it is needed: few operations wait for more than the database.
    _left: asyncio.Future[None] | None = None

    @property
    def user_id(self) -> str | None:
        """Return the authenticated user's id, or None for an anonymous caller."""
        return None if self.caller is None else self.caller.user_id

    @property
    def database(self) -> Database:
        """Return the factory of sessions."""
        return self.runtime.database

    def require_caller(self) -> Caller:
        """Return the caller, or say that one must sign in."""
        if self.caller is None:
            raise UnauthenticatedError("Sign in first: send an access token as `Authorization: Bearer …`.")
        return self.caller

    def loader(self, batch: Batch) -> DataLoader[str, Any]:
        """Return the loader of what a batch loads: whoever asks for the same at the same time shares a statement."""
        if (loader := self.loaders.get(batch)) is None:
            loader = self.loaders[batch] = DataLoader(partial(batch.load, self.database.reader))
        return loader

    async def load(self, batch: Batch, keys: Sequence[str | None]) -> list[Any]:
        """Return the values of keys in their order, by one statement for those that were not loaded yet."""
        known = list(dict.fromkeys(key for key in keys if key is not None))
        found = dict(zip(known, await self.loader(batch).load_many(known), strict=True))
        return [None if key is None else found[key] for key in keys]

    async def write(self, work: Callable[[AsyncSession, Caller], Awaitable[Result]]) -> Result:
        """Run the work in one transaction, committed before anything else loads; what loaders know is then old."""
        caller = self.require_caller()
        return await self.changing(self.database.write(lambda session: work(session, caller)))

    async def create(self, work: Callable[[Database, Caller], Awaitable[Result]]) -> Result:
        """Run work that has its own transaction; otherwise as `write`."""
        return await self.changing(work(self.database, self.require_caller()))

    async def changing(self, work: Awaitable[Result]) -> Result:
        """Await what changes something; what loaders know is then old."""
        result = await work
        self.loaders.clear()
        return result

    async def while_wanted(self, work: Awaitable[Result]) -> Result | None:
        """Await what can be left alone, no longer than someone waits for the answer; None where nobody does."""
        left = self._left = self._left or asyncio.get_running_loop().create_future()
        waiting = asyncio.ensure_future(work)
        try:
            await asyncio.wait((waiting, left), return_when=asyncio.FIRST_COMPLETED)
            return await waiting if waiting.done() else None
        finally:
            waiting.cancel()

    def leave(self) -> None:
        """Hear that nobody waits for the answer any more."""
        self._left = self._left or asyncio.get_running_loop().create_future()
        if not self._left.done():
            self._left.set_result(None)


Info: TypeAlias = strawberry.Info[Context, None]
