"""The conventional server's tables: SQLModel's objects over our database, with the columns that it needs."""

from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ARRAY, JSON, DateTime, Enum, SmallInteger, String, Uuid
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel

from bench.peers.rows import new_id

Id: Final = Uuid(as_uuid=False)
Moment: Final = DateTime(timezone=True)


class TaskPriority(StrEnum):
    """How much a task matters."""

    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"


class MessageRole(StrEnum):
    """Who wrote a message."""

    USER = "USER"
    ASSISTANT = "ASSISTANT"


class Rank(TypeDecorator[TaskPriority]):
    """A priority stored as its rank, from 1."""

    impl = SmallInteger
    cache_ok = True

    def process_bind_param(self, value: TaskPriority | None, dialect: Dialect) -> int | None:  # noqa: ARG002 - SQLAlchemy's
        """Return the rank of a priority."""
        return None if value is None else _RANKS[value]

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], TaskPriority | None]:  # noqa: ARG002
        """Return what makes priorities of ranks."""
        return _PRIORITIES.__getitem__


_RANKS: Final = {priority: rank for rank, priority in enumerate(TaskPriority, start=1)}
_PRIORITIES: Final = {rank: priority for priority, rank in _RANKS.items()}


def _now() -> datetime:
    return datetime.now(UTC)


class Owned(SQLModel):
    """A row of one user."""

    user_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True, sa_type=Id, default_factory=new_id)
    revision: int
    created_at: datetime = Field(default_factory=_now, sa_type=Moment)


class User(SQLModel, table=True):
    """A user."""

    __tablename__ = "users"

    id: str = Field(primary_key=True)
    email: str
    name: str
    is_active: bool
    revision: int


class Task(Owned, table=True):
    """A task."""

    __tablename__ = "tasks"

    title: str
    description: str | None = None
    completed: bool = False
    completed_at: datetime | None = Field(default=None, sa_type=Moment)
    priority: TaskPriority = Field(default=TaskPriority.MEDIUM, sa_type=Rank)
    due_at: datetime | None = Field(default=None, sa_type=Moment)
    tags: list[str] = Field(default_factory=list, sa_type=ARRAY(String))
    parent_id: str | None = Field(default=None, sa_type=Id)
    words: str
    updated_at: datetime = Field(default_factory=_now, sa_type=Moment)


class TaskChange(Owned, table=True):
    """A change of a task."""

    __tablename__ = "history"

    entity: str
    row_id: str = Field(sa_type=Id)
    kind: str
    before: dict[str, Any] = Field(sa_type=JSON)
    after: dict[str, Any] = Field(sa_type=JSON)


class Conversation(Owned, table=True):
    """A conversation."""

    __tablename__ = "conversations"

    title: str
    updated_at: datetime = Field(default_factory=_now, sa_type=Moment)


class Message(Owned, table=True):
    """A message of a conversation."""

    __tablename__ = "messages"

    conversation_id: str = Field(sa_type=Id)
    role: MessageRole = Field(sa_type=Enum(MessageRole, native_enum=False))
    content: str
    status: str
