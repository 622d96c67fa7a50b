"""Fields that show what a row refers to, loaded for all rows of a list by one statement."""

from collections.abc import Sequence
from typing import Any

import strawberry
from sqlmodel import SQLModel

from core.errors import NotFoundError
from engine import batched
from graph.context import Info
from graph.loaders import RowById
from graph.mapping import needing
from graph.selection import selected_columns


def reference(
    model: type[SQLModel], column: str, graphql_type: Any, description: str, *, missing: str | None = None
) -> Any:
    """Return a field that loads the caller's row of a model whose id is in a column of the parent's row.

    A row that was deleted meanwhile is null, or an error with the text of `missing`.
    """

    @batched
    async def load(parents: strawberry.Parent[list[Any]], info: Info) -> list[Any]:
        rows = await load_rows(info, model, [getattr(parent, column) for parent in parents])
        return rows if missing is None else [row or NotFoundError(missing) for row in rows]

    return needing(column, description=description, graphql_type=graphql_type)(staticmethod(load))


async def load_rows(info: Info, model: type[SQLModel], ids: Sequence[str | None]) -> list[Any]:
    """Load the caller's rows of a model with the columns that are selected; None where there is none."""
    caller, columns = info.context.require_caller(), selected_columns(info, model)
    return await info.context.load(RowById(model, caller, columns), ids)
