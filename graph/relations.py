"""Fields that show what a row refers to, and rows by their ids, loaded for all rows of a list by one statement."""

from collections.abc import Sequence
from typing import Annotated, Any, Final, ForwardRef

import strawberry
from sqlmodel import SQLModel

import models
from core.errors import AccountGoneError, NotFoundError
from engine import batched
from graph.context import Info
from graph.mapping import reads_columns, refers_by
from graph.selection import selected_columns
from services.accounts.users import own_row, users_by_id
from services.query.lookup import find_node, rows_by_id


def _lazy(name: str, module: str) -> Any:
    """Return a type that Strawberry imports once the schema is made, since types refer to each other."""
    return Annotated[ForwardRef(name), strawberry.lazy(module)]


LazyConversation: Final = _lazy("Conversation", "graph.conversation")
LazyRun: Final = _lazy("Run", "graph.run")
LazyTask: Final = _lazy("Task", "graph.task")
LazyUser: Final = _lazy("User", "graph.user")


def reference(
    model: type[SQLModel], column: str, graphql_type: Any, description: str, *, if_gone: str | None = None
) -> Any:
    """Return a field that loads the caller's row of a model whose id is in a column of the parent's row.

    A field that is never null gives the message for a row that was deleted after its parent was read.
    """

    @batched
    async def load(parents: strawberry.Parent[list[Any]], info: Info) -> list[Any]:
        rows = await load_rows(info, model, [getattr(parent, column) for parent in parents])
        return rows if if_gone is None else [NotFoundError(if_gone) if row is None else row for row in rows]

    return refers_by(column, description=description, graphql_type=graphql_type)(staticmethod(load))


def owner(description: str) -> Any:
    """Return a field that loads the owner of each row."""

    @batched
    async def load(parents: strawberry.Parent[list[Any]], info: Info) -> list[Any]:
        columns = selected_columns(info, models.User)
        owners = await info.context.load(users_by_id, columns, [parent.user_id for parent in parents])
        # The account may have been deleted since its rows were read.
        if None in owners:
            raise AccountGoneError
        return owners

    return reads_columns("user_id", description=description, graphql_type=LazyUser)(staticmethod(load))


def viewer() -> Any:
    """Return a field of a payload that reads the caller, whose counts may have changed."""

    async def load(info: Info) -> Any:
        columns = selected_columns(info, models.User)
        return await own_row(info.context.database.batch_loader, info.context.require_caller(), columns)

    description = "The caller, to read again what has changed of their lists and counts."
    return strawberry.field(load, description=description, graphql_type=LazyUser | None)


async def load_rows(info: Info, model: type[SQLModel], ids: Sequence[str | None]) -> list[Any]:
    """Load the caller's rows of a model with the columns that are selected; None where there is none."""
    return await info.context.load(rows_by_id, selected_columns(info, model), ids, model)


async def load_row(info: Info, model: type[SQLModel], row_id: str) -> Any:
    """Load the caller's row of an id, together with those that other operations load; None where there is none."""
    columns = ((model, selected_columns(info, model)),)
    return await find_node(info.context.database.batch_loader, info.context.require_caller(), columns, row_id)
