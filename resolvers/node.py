"""Queries of rows of any type by their ids."""

import asyncio
from typing import Any

import strawberry

from core.errors import BadUserInputError
from graph.context import Info
from graph.node import Node, TypedRow
from graph.selection import columns_by_model
from graph.user import load_user
from models import ENTITIES
from services.query.lookup import find_node
from services.query.pagination import MAX_PAGE_SIZE


@strawberry.type
class NodeQuery:
    """Queries of Node."""

    @strawberry.field(graphql_type=Node | None, description="Anything of the caller's by its id.")
    async def node(self, info: Info, id: strawberry.ID) -> Any:
        """Load one node."""
        return await _load_node(info, id)

    @strawberry.field(
        graphql_type=list[Node | None],
        description="Up to 100 things of the caller's by their ids, in that order; null where there is none.",
    )
    async def nodes(self, info: Info, ids: list[strawberry.ID]) -> Any:
        """Load several nodes."""
        if len(ids) > MAX_PAGE_SIZE:
            raise BadUserInputError(f"ids takes at most {MAX_PAGE_SIZE}; it has {len(ids)}.", path=("ids",))
        return await asyncio.gather(*(_load_node(info, node_id) for node_id in ids))


async def _load_node(info: Info, node_id: str) -> Any:
    caller = info.context.require_caller()
    if node_id != caller.user_id:
        row = await find_node(info.context.database.batch_loader, caller, columns_by_model(info, ENTITIES), node_id)
        if row is not None or not caller.is_admin:
            return row
    user = await load_user(info, node_id)
    return None if user is None else TypedRow("User", user)
