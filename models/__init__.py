"""The tables: SQLModel classes, one file an entity, without behaviour."""

from models.conversation import Conversation
from models.deletion import Deletion, EntityKind
from models.idempotency_key import IdempotencyKey
from models.message import Message, MessageRole, MessageStatus
from models.session import Session
from models.task import Task, TaskPriority
from models.user import User

__all__ = [
    "Conversation",
    "Deletion",
    "EntityKind",
    "IdempotencyKey",
    "Message",
    "MessageRole",
    "MessageStatus",
    "Session",
    "Task",
    "TaskPriority",
    "User",
]
