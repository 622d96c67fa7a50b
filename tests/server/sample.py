"""A small schema whose fields do what the endpoint must cope with, and the application that serves it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import strawberry
from httpx2 import AsyncClient

from core.clock import utc_now
from core.errors import BadUserInputError, NotFoundError, RateLimitedError, UnavailableError
from core.settings import Settings
from graph.context import Info
from server.app import create_app
from tests.databases import make_settings
from tests.servers import serve
from tests.waiting import PATIENCE_S

SECRET = "the password of the database is hunter2"
RETRY_AT = utc_now()
FAILURES = {
    "bad": BadUserInputError("Send less.", path=("input", "title")),
    "gone": NotFoundError("There is no such thing."),
    "limited": RateLimitedError("Too many attempts.", retry_at=RETRY_AT),
    "unavailable": UnavailableError("The database cannot answer now."),
    "unforeseen": RuntimeError(SECRET),
}


class Happenings:
    def __init__(self) -> None:
        self.began = asyncio.Event()
        self.may_end = asyncio.Event()
        self.over = asyncio.Event()
        self.ended: list[str] = []

    async def take_part(self) -> str:
        self.began.set()
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.ended.append("cancelled")
            raise
        finally:
            self.over.set()
        self.ended.append("done")
        return "done"


happenings = Happenings()


@strawberry.type
class Thing:
    name: str = "thing"

    @strawberry.field
    def inner(self) -> "Thing":
        return Thing()


def fail(how: str) -> str | None:
    raise FAILURES[how]


async def wait() -> str:
    return await happenings.take_part()


@strawberry.type
class Query:
    fail: str | None = strawberry.field(resolver=fail)
    wait: str = strawberry.field(resolver=wait)

    @strawberry.field
    def hello(self, name: str = "world") -> str:
        return f"Hello, {name}!"

    @strawberry.field
    def double(self, number: int) -> int:
        return 2 * number

    @strawberry.field
    def user_id(self, info: Info) -> str | None:
        return info.context.user_id

    @strawberry.field
    def thing(self) -> Thing:
        return Thing()

    @strawberry.field
    def long(self, characters: int) -> str:
        return "x" * characters


@strawberry.type
class Mutation:
    fail: str | None = strawberry.field(resolver=fail)
    wait: str = strawberry.field(resolver=wait)

    @strawberry.mutation
    async def note(self, text: str) -> str | None:
        happenings.ended.append(text)
        return text


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def ticks(self) -> AsyncIterator[int]:
        yield 1

    @strawberry.subscription
    async def broken(self, how: str) -> AsyncIterator[int]:
        yield 1
        raise FAILURES[how]


schema = strawberry.Schema(query=Query, mutation=Mutation, subscription=Subscription)


def sample_settings(folder: Path, **overrides: Any) -> Settings:
    return make_settings(f"sqlite:///{folder}/none.db", **overrides)


@asynccontextmanager
async def open_api(settings: Settings) -> AsyncIterator[AsyncClient]:
    async with (
        serve(create_app(settings, schema)) as running,
        AsyncClient(base_url=running.url, timeout=PATIENCE_S) as client,
    ):
        yield client
