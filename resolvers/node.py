"""Queries of anything by its id."""

import asyncio
from typing import Any, Final

import strawberry

from core.errors import BadUserInputError
from core.page_size import MAX_PAGE_SIZE
from engine import selected
from graph.context import Info
from graph.loaders import ConversationById, KindById, MessageById, RowById, RunById, TaskById, ToolCallById
from graph.node import Node, TypedRow
from graph.selection import selected_columns
from graph.user import load_user
from models import Conversation, EntityKind, Message, Run, Task, ToolCall
from models.base import Owned

_LOADERS: Final[dict[EntityKind, tuple[type[Owned], type[RowById]]]] = {
    EntityKind.TASK: (Task, TaskById),
    EntityKind.CONVERSATION: (Conversation, ConversationById),
    EntityKind.MESSAGE: (Message, MessageById),
    EntityKind.RUN: (Run, RunById),
    EntityKind.TOOL_CALL: (ToolCall, ToolCallById),
}

_KINDS: Final = {model.__name__: kind for kind, (model, _) in _LOADERS.items()}
_OF_ANYTHING: Final = frozenset({"id", "__typename"})


@strawberry.type
class NodeQuery:
    """Reads anything of the caller's."""

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


async def _load_node(info: Info, node_id: str) -> TypedRow | None:
    caller = info.context.require_caller()
    if node_id == caller.user_id:
        return _typed("User", await load_user(info, node_id))
    expected = _expected_kind(info)
    if expected is not None and (node := await _load_kind(info, expected, node_id)) is not None:
        return node
    kind = await info.context.loader(KindById(caller)).load(node_id)
    if kind is None:
        return _typed("User", await load_user(info, node_id)) if caller.is_admin else None
    return await _load_kind(info, kind, node_id)


def _expected_kind(info: Info) -> EntityKind | None:
    """Return the one kind that anything more than its id is asked of, if it is one: most know what they ask for."""
    asked = [name for name, fields in selected(info).names_by_type.items() if fields - _OF_ANYTHING]
    return _KINDS.get(asked[0]) if len(asked) == 1 else None


async def _load_kind(info: Info, kind: EntityKind, node_id: str) -> TypedRow | None:
    model, by_id = _LOADERS[kind]
    rows = info.context.loader(by_id(info.context.require_caller(), selected_columns(info, model)))
    return _typed(model.__name__, await rows.load(node_id))


def _typed(type_name: str, row: Any) -> TypedRow | None:
    return None if row is None else TypedRow(type_name, row)
