"""Makes the rows of an account that has grown large, past the rules of the services."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlmodel import SQLModel

from core.database import Database
from core.ids import new_ids
from core.transaction import Transaction
from models import Conversation, HistoryAction, HistoryEntry, Message, MessageRole, MessageStatus, Task, TaskPriority
from services.query.sql import insert_rows
from services.tasks.words import searchable
from tests.databases import run_sql

BEGUN: Final = datetime(2020, 1, 1, tzinfo=UTC)
_BATCH: Final = 5_000


@dataclass(frozen=True, slots=True)
class Grown:
    """What an account has: the tasks, every tenth a subtask of one of the first, and conversations, the first largest.

    Half of the messages are in the first conversation.
    """

    task_ids: list[str]
    conversation_ids: list[str]


async def grow(database: Database, user_id: str, *, tasks: int, messages: int, conversations: int = 200) -> Grown:
    """Store an account's rows; each has a revision of its own."""
    grown = Grown(new_ids(tasks), new_ids(conversations))
    talks = [
        _owned(user_id, row_id, index) | {"title": "Plans", "removed_at": None}
        for index, row_id in enumerate(grown.conversation_ids)
    ]
    await _store(database, Conversation, talks)
    await _store(database, Task, [_task(user_id, grown.task_ids, index) for index in range(tasks)])
    said = [_message(user_id, grown, row_id, index) for index, row_id in enumerate(new_ids(messages))]
    await _store(database, Message, said)
    made = [_creation(user_id, grown, row_id, index) for index, row_id in enumerate(new_ids(tasks))]
    await _store(database, HistoryEntry, made)
    last = max(tasks, messages, conversations)
    await database.write(
        lambda session: run_sql(session, "UPDATE users SET revision = :last WHERE id = :id", last=last, id=user_id)
    )
    return grown


async def _store(database: Database, model: type[SQLModel], rows: Sequence[dict[str, Any]]) -> None:
    for start in range(0, len(rows), _BATCH):

        async def insert(transaction: Transaction, start: int = start) -> None:
            await insert_rows(transaction, model, rows[start : start + _BATCH])

        await database.transaction(insert)


def _owned(user_id: str, row_id: str, index: int) -> dict[str, Any]:
    moment = BEGUN + timedelta(minutes=index)
    return {"user_id": user_id, "id": row_id, "revision": index + 1, "created_at": moment, "updated_at": moment}


def _task(user_id: str, ids: Sequence[str], index: int) -> dict[str, Any]:
    row = _owned(user_id, ids[index], index)
    # As people write: every title has a word that all have, and some that few have.
    title = f"Call number{index} about topic{index % 500}"
    is_completed = index % 5 < 3
    return row | {
        "title": title,
        "description": None,
        "words": searchable(title),
        "completed": is_completed,
        "completed_at": row["created_at"] if is_completed else None,
        "priority": list(TaskPriority)[index % 3],
        "due_at": None if index % 3 == 1 else row["created_at"] + timedelta(days=index * 7 % 60),
        "tags": [f"tag{index % 50}"] if index % 2 else [],
        "parent_id": ids[index // 10 % 100] if index % 10 == 9 and index > 1_000 else None,
    }


def _message(user_id: str, grown: Grown, row_id: str, index: int) -> dict[str, Any]:
    row = _owned(user_id, row_id, index)
    del row["updated_at"]
    talks = grown.conversation_ids
    return row | {
        "conversation_id": talks[0 if index % 2 else index // 2 % len(talks)],
        "role": list(MessageRole)[index % 2],
        "content": f"What about topic {index % 500}? It is to be done by the end of the week.",
        "status": MessageStatus.COMPLETE,
    }


def _creation(user_id: str, grown: Grown, row_id: str, index: int) -> dict[str, Any]:
    row = _owned(user_id, row_id, index)
    del row["updated_at"]
    change = {"entity": "TASK", "kind": HistoryAction.CREATED, "before": {}, "after": {"title": f"Call number{index}"}}
    return row | change | {"row_id": grown.task_ids[index], "run_id": None, "tool_call_id": None}
