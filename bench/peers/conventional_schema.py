"""The conventional server's schema: the part of ours that is measured."""

from typing import Any

import strawberry
from sqlalchemy import func, tuple_
from sqlmodel import SQLModel, col, select
from strawberry.types import Info

from bench.peers.conventional_data import Page, Sessions, place_of
from bench.peers.conventional_models import Conversation, Message, Task, User
from bench.peers.conventional_tasks import (
    CreateTaskInput,
    TaskFilter,
    TaskOrder,
    TaskOrderField,
    create_task,
    task_conditions,
    task_order,
)
from bench.peers.conventional_types import (
    Connection,
    ConversationConnection,
    ConversationType,
    MessageType,
    NodeType,
    TaskPayload,
    TaskType,
    UserType,
)

_KINDS: tuple[tuple[type[SQLModel], Any], ...] = (
    (Task, TaskType),
    (Conversation, ConversationType),
    (Message, MessageType),
)


@strawberry.type
class TaskConnection(Connection[TaskType]):
    """A page of tasks."""

    task_filter: strawberry.Private[TaskFilter | None] = None

    @strawberry.field
    async def total_count(self, info: Info) -> int:
        """Return how many there are in all."""
        counting = select(func.count()).select_from(Task)
        async with info.context.sessions() as session:
            found = await session.exec(counting.where(*task_conditions(info.context.user_id, self.task_filter)))
            total: int = found.one()
            return total


async def _page(sessions: Sessions, statement: Any, first: int) -> Page:
    async with sessions() as session:
        rows = (await session.exec(statement.limit(first + 1))).all()
    return Page(rows[:first], len(rows) > first)


@strawberry.type
class Query:
    """What can be read."""

    @strawberry.field
    async def viewer(self, info: Info) -> UserType | None:
        """Return the caller."""
        async with info.context.sessions() as session:
            row = await session.get(User, info.context.user_id)
        return None if row is None else UserType.of(row)

    @strawberry.field
    async def node(self, info: Info, id: strawberry.ID) -> NodeType | None:  # noqa: A002 - the schema says so
        """Return anything of the caller's by its id."""
        async with info.context.sessions() as session:
            for model, node_type in _KINDS:
                if (row := await session.get(model, (info.context.user_id, id))) is not None:
                    node: NodeType = node_type.of(row)
                    return node
        return None

    @strawberry.field
    async def conversation(self, info: Info, id: strawberry.ID) -> ConversationType | None:  # noqa: A002 - as above
        """Return the caller's conversation of an id."""
        async with info.context.sessions() as session:
            row = await session.get(Conversation, (info.context.user_id, id))
        return None if row is None else ConversationType.of(row)

    @strawberry.field
    async def tasks(
        self,
        info: Info,
        first: int = 20,
        after: str | None = None,
        filter: TaskFilter | None = None,  # noqa: A002 - as above
        order_by: list[TaskOrder] | None = None,
    ) -> TaskConnection:
        """Return the caller's tasks."""
        by_due_at = order_by is not None and order_by[0].field is TaskOrderField.DUE_AT
        column = "due_at" if by_due_at else "created_at"
        statement = select(Task).where(*task_conditions(info.context.user_id, filter))
        if after is not None:
            statement = statement.where(tuple_(getattr(Task, column), col(Task.id)) > place_of(after))
        page = await _page(info.context.sessions, statement.order_by(*task_order(order_by)), first)
        return TaskConnection.of(TaskType, page, column, task_filter=filter)

    @strawberry.field
    async def conversations(self, info: Info, first: int = 20, after: str | None = None) -> ConversationConnection:
        """Return the caller's conversations, the latest active first."""
        place = tuple_(col(Conversation.updated_at), col(Conversation.id))
        statement = select(Conversation).where(Conversation.user_id == info.context.user_id)
        if after is not None:
            statement = statement.where(place < place_of(after))
        ordered = statement.order_by(col(Conversation.updated_at).desc(), col(Conversation.id).desc())
        page = await _page(info.context.sessions, ordered, first)
        return ConversationConnection.of(ConversationType, page, "updated_at")


@strawberry.type
class Mutation:
    """What can be changed."""

    @strawberry.mutation
    async def create_task(self, info: Info, input: CreateTaskInput) -> TaskPayload:  # noqa: A002 - as above
        """Make a task."""
        row = await create_task(info.context.sessions, info.context.user_id, input)
        return TaskPayload(task=TaskType.of(row), errors=[])
