"""The GraphQL type of tool calls."""

from typing import TYPE_CHECKING, Annotated, Any

import strawberry
from strawberry import auto

import models
from core.errors import NotFoundError
from graph.context import Info
from graph.loaders import RunById
from graph.mapping import needing, table_type
from graph.node import Node
from graph.selection import selected_columns

if TYPE_CHECKING:
    from graph.run import Run


@table_type(models.ToolCall)
class ToolCall(Node):
    """One use of a tool."""

    name: auto
    arguments: auto
    result: auto
    status: auto
    revision: auto
    created_at: auto

    @needing("run_id", description="The run that called it.")
    @staticmethod
    async def run(
        root: strawberry.Parent[models.ToolCall], info: Info
    ) -> Annotated["Run", strawberry.lazy("graph.run")]:
        """Load the run."""
        caller, columns = info.context.require_caller(), selected_columns(info, models.Run)
        run: Any = await info.context.loader(info, lambda: RunById(caller, columns)).load(root.run_id)
        if run is None:
            raise NotFoundError("The run was deleted while its tool calls were read; read them again.")
        return run


@strawberry.input(description="The decision on a tool call that waits for approval.")
class ResolveToolCallInput:
    """A tool call and whether it may be carried out."""

    id: strawberry.ID = strawberry.field(description="The tool call.")
    approve: bool = strawberry.field(description="Whether it may be carried out; where not, the assistant is told so.")
