"""The tables: SQLModel classes, one file an entity, without behaviour."""

from models.access_token import AccessScope, AccessToken
from models.conversation import Conversation
from models.deletion import Deletion, EntityKind
from models.idempotency_key import IdempotencyKey
from models.message import Message, MessageRole, MessageStatus
from models.run import Run, RunStatus
from models.session import Session
from models.task import Task, TaskPriority
from models.task_change import TaskChange, TaskChangeKind
from models.token_usage import TokenUsage
from models.tool_call import ToolCall, ToolCallStatus
from models.user import User

__all__ = [
    "AccessScope",
    "AccessToken",
    "Conversation",
    "Deletion",
    "EntityKind",
    "IdempotencyKey",
    "Message",
    "MessageRole",
    "MessageStatus",
    "Run",
    "RunStatus",
    "Session",
    "Task",
    "TaskChange",
    "TaskChangeKind",
    "TaskPriority",
    "TokenUsage",
    "ToolCall",
    "ToolCallStatus",
    "User",
]
