"""The conventional server's types: each is made from an object of SQLModel."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, Self, TypeVar

import strawberry
from strawberry.types import Info

from bench.peers.conventional_data import Page, PageKey, write_cursor
from bench.peers.conventional_models import Conversation, Message, MessageRole, Task, TaskPriority, User

T = TypeVar("T")
strawberry.enum(MessageRole)


@strawberry.interface(name="Node")
class NodeType:
    """A thing with an id."""

    id: strawberry.ID


@strawberry.type
class PageInfo:
    """Where a page stands in its list."""

    has_next_page: bool
    end_cursor: str | None


@strawberry.type
class Connection(Generic[T]):
    """A page of a list."""

    nodes: list[T]
    page_info: PageInfo

    @classmethod
    def of(cls, node_type: Any, page: Page, column: str = "created_at", **extra: Any) -> Self:
        """Make it of a page's objects, with cursors of this column."""
        last = page.nodes[-1] if page.nodes else None
        cursor = None if last is None else write_cursor(getattr(last, column), last.id)
        nodes = [node_type.of(row) for row in page.nodes]
        return cls(nodes=nodes, page_info=PageInfo(has_next_page=page.has_next, end_cursor=cursor), **extra)


@strawberry.type(name="User")
class UserType(NodeType):
    """A person."""

    email: str
    name: str

    @classmethod
    def of(cls, row: User) -> Self:
        """Make it of an object."""
        return cls(id=strawberry.ID(row.id), email=row.email, name=row.name)


@strawberry.type(name="Message")
class MessageType(NodeType):
    """Something said."""

    role: MessageRole
    content: str
    created_at: datetime

    @classmethod
    def of(cls, row: Message) -> Self:
        """Make it of an object."""
        return cls(id=strawberry.ID(row.id), role=row.role, content=row.content, created_at=row.created_at)


@strawberry.type
class MessageConnection(Connection[MessageType]):
    """A page of messages."""


@strawberry.type(name="Conversation")
class ConversationType(NodeType):
    """A talk."""

    title: str

    @strawberry.field
    async def messages(self, info: Info, first: int = 20, after: str | None = None) -> MessageConnection:
        """Return what was said."""
        page = await info.context.loaders.messages.load(PageKey(self.id, first, after))
        return MessageConnection.of(MessageType, page)

    @classmethod
    def of(cls, row: Conversation) -> Self:
        """Make it of an object."""
        return cls(id=strawberry.ID(row.id), title=row.title)


@strawberry.type
class ConversationConnection(Connection[ConversationType]):
    """A page of conversations."""


@strawberry.type(name="Task")
class TaskType(NodeType):
    """Something to do."""

    title: str
    description: str | None
    completed: bool
    priority: TaskPriority
    due_at: datetime | None
    tags: list[str]
    revision: int
    created_at: datetime
    updated_at: datetime

    @strawberry.field
    async def subtasks(self, info: Info, first: int = 20, after: str | None = None) -> "SubtaskConnection":
        """Return the tasks that it is made of."""
        page = await info.context.loaders.subtasks.load(PageKey(self.id, first, after))
        return SubtaskConnection.of(TaskType, page)

    @classmethod
    def of(cls, row: Task) -> Self:
        """Make it of an object."""
        names = (
            "title",
            "description",
            "completed",
            "priority",
            "due_at",
            "tags",
            "revision",
            "created_at",
            "updated_at",
        )
        return cls(id=strawberry.ID(row.id), **{name: getattr(row, name) for name in names})


@strawberry.type
class SubtaskConnection(Connection[TaskType]):
    """A page of the tasks that one is made of."""


@strawberry.enum
class ErrorCode(StrEnum):
    """Why a mutation did nothing."""

    BAD_USER_INPUT = "BAD_USER_INPUT"


@strawberry.type
class UserError:
    """A failure that the caller can mend."""

    code: ErrorCode
    message: str


@strawberry.type
class TaskPayload:
    """A task as made."""

    task: TaskType | None
    errors: list[UserError]
