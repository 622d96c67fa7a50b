"""The GraphQL type of tool calls."""

from typing import Any

import strawberry
from strawberry import auto

import models
from core.errors import NotFoundError
from engine import batched
from graph.context import Info
from graph.lazy import LazyRun
from graph.loaders import RowById
from graph.mapping import needing, table_type
from graph.node import Node
from graph.selection import selected_columns


@table_type(models.ToolCall)
class ToolCall(Node):
    """One use of a tool."""

    name: auto
    arguments: auto
    result: auto
    status: auto
    revision: auto
    created_at: auto

    @needing(
        "run_id",
        graphql_type=LazyRun,
        description="The run that called it.",
    )
    @staticmethod
    @batched
    async def run(parents: strawberry.Parent[list[models.ToolCall]], info: Info) -> list[Any]:
        """Load the runs."""
        caller, columns = info.context.require_caller(), selected_columns(info, models.Run)
        found = await info.context.load(RowById(models.Run, caller, columns), [call.run_id for call in parents])
        return [run or _gone() for run in found]


def _gone() -> NotFoundError:
    return NotFoundError("The run was deleted while its tool calls were read; read them again.")


@strawberry.input(description="The decision on a tool call that waits for approval.")
class ResolveToolCallInput:
    """A tool call and whether it may be carried out."""

    id: strawberry.ID = strawberry.field(description="The tool call.")
    approve: bool = strawberry.field(description="Whether it may be carried out; where not, the assistant is told so.")
