"""The conventional server's access to data: sessions, pages by keyset, loaders of relations."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final, NamedTuple

import orjson
from sqlalchemy import ARRAY, ColumnElement, bindparam, column, func, literal, true, tuple_
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import aliased
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from strawberry.dataloader import DataLoader

from bench.peers.conventional_models import Id, Message, Moment, Task

Sessions = async_sessionmaker[AsyncSession]
Row = Message | Task


class PageKey(NamedTuple):
    """Which page of which parent's list."""

    parent_id: str
    first: int
    after: str | None


class Page(NamedTuple):
    """A page's objects, and whether there are more."""

    nodes: Sequence[Any]
    has_next: bool


@asynccontextmanager
async def database(url: str, pool_size: int) -> AsyncIterator[Sessions]:
    """Give a factory of sessions on a pool."""
    url = url.replace("postgresql://", "postgresql+asyncpg://", 1)
    engine = create_async_engine(url, pool_size=pool_size, max_overflow=0, pool_timeout=600)
    try:
        yield async_sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)
    finally:
        await engine.dispose()


def write_cursor(moment: datetime | None, row_id: str) -> str:
    """Return the cursor of a row."""
    return urlsafe_b64encode(orjson.dumps([moment, row_id])).decode()


def place_of(cursor: str) -> ColumnElement[Any]:
    """Return the place that a cursor marks, to compare with a row's moment and id."""
    moment, row_id = orjson.loads(urlsafe_b64decode(cursor))
    return tuple_(literal(datetime.fromisoformat(moment), Moment), literal(row_id, Id))


class Loaders:
    """A loader of each relation, for one request."""

    def __init__(self, sessions: Sessions, user_id: str) -> None:
        self._sessions = sessions
        self._user_id = user_id
        self.messages: Final = DataLoader(self._loading(Message, "conversation_id"))
        self.subtasks: Final = DataLoader(self._loading(Task, "parent_id"))

    def _loading(
        self, model: type[Row], parent: str
    ) -> Callable[[list[PageKey]], Awaitable[Sequence[Page | BaseException]]]:
        async def load(keys: list[PageKey]) -> Sequence[Page | BaseException]:
            groups: dict[tuple[int, str | None], list[str]] = defaultdict(list)
            for key in keys:
                groups[key.first, key.after].append(key.parent_id)
            found: dict[PageKey, Page] = {}
            async with self._sessions() as session:
                for (first, after), parent_ids in groups.items():
                    statement = self._pages(model, parent, parent_ids, first, after)
                    rows: dict[str, list[Row]] = defaultdict(list)
                    for row in await session.exec(statement):
                        rows[getattr(row, parent)].append(row)
                    for parent_id in parent_ids:
                        page = Page(rows[parent_id][:first], len(rows[parent_id]) > first)
                        found[PageKey(parent_id, first, after)] = page
            return [found[key] for key in keys]

        return load

    def _pages(self, model: type[Row], parent: str, parent_ids: list[str], first: int, after: str | None) -> Any:
        given = bindparam("parents", parent_ids, type_=ARRAY(Id), unique=True)
        parents = func.unnest(given).table_valued(column("id", Id), name="parents").render_derived()
        place = tuple_(col(model.created_at), col(model.id))
        owned = select(model).where(model.user_id == self._user_id, getattr(model, parent) == parents.c.id)
        if after is not None:
            owned = owned.where(place > place_of(after))
        page = owned.order_by(col(model.created_at), col(model.id)).limit(first + 1).lateral("page")
        return select(aliased(model, page)).select_from(parents).join(page, true())
