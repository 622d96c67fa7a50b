"""The tables: SQLModel classes, one file an entity, without behaviour; ENTITIES is the registry of what clients see."""

from typing import Final

from models.access_token import AccessScope, AccessToken
from models.audit_event import AuditEvent, AuditEventKind
from models.base import Entity, complete_table
from models.conversation import Conversation
from models.database_epoch import DatabaseEpoch
from models.deleted_identity import DeletedIdentity
from models.deletion import Deletion
from models.email import Email, EmailKind
from models.history import HistoryAction, HistoryEntry
from models.idempotency_key import IdempotencyKey
from models.message import Message, MessageRole, MessageStatus
from models.run import Run, RunStatus
from models.session import Session
from models.task import Task, TaskPriority
from models.token_usage import TokenUsage
from models.tool_call import ToolCall, ToolCallStatus
from models.user import User

# Lookup by id, sync, tombstones, the history and the tests' lists follow from it.
ENTITIES: Final[tuple[type[Entity], ...]] = (Task, Conversation, Message, Run, ToolCall)

for _entity in ENTITIES:
    complete_table(_entity)

__all__ = [
    "ENTITIES",
    "AccessScope",
    "AccessToken",
    "AuditEvent",
    "AuditEventKind",
    "Conversation",
    "DatabaseEpoch",
    "DeletedIdentity",
    "Deletion",
    "Email",
    "EmailKind",
    "HistoryAction",
    "HistoryEntry",
    "IdempotencyKey",
    "Message",
    "MessageRole",
    "MessageStatus",
    "Run",
    "RunStatus",
    "Session",
    "Task",
    "TaskPriority",
    "TokenUsage",
    "ToolCall",
    "ToolCallStatus",
    "User",
]
