"""The rows that every server answers from: a person with much of everything, one to grow on, and many who write."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlmodel import SQLModel

from core.database import Database
from core.ids import new_ids
from core.settings import Settings
from models import Conversation, Message, MessageRole, Task, TaskPriority
from tests.factories import SignedIn, message_row, sign_in, store, task_row

TASKS: Final = 1_000
CONVERSATIONS: Final = 50
MESSAGES: Final = 100
MANY_MESSAGES: Final = 2_000
GROWN_CONVERSATIONS: Final = 100
WRITERS: Final = 64

_BRANCHES: Final = 40
_BELOW: Final = (5, 3)
_BEGINNING: Final = datetime(2026, 1, 5, 8, tzinfo=UTC)
_PRIORITIES: Final = (TaskPriority.MEDIUM, TaskPriority.HIGH, TaskPriority.LOW, TaskPriority.MEDIUM)
_TAGS: Final[tuple[list[str], ...]] = ([], ["home"], ["work", "soon"], [], ["garden"])
_AT_ONCE: Final = 2_000


@dataclass(frozen=True, slots=True)
class Rows:
    """Who there is, and which of their rows operations name."""

    reader: SignedIn
    grower: SignedIn
    writers: list[SignedIn]
    task_id: str
    long_conversation_id: str


async def load_rows(settings: Settings) -> Rows:
    """Store all rows in a migrated, empty database."""
    database = Database(settings)
    reader, grower = await sign_in(database, settings), await sign_in(database, settings)
    writers = [await sign_in(database, settings) for _ in range(WRITERS)]
    tasks = list(_tasks(reader.user.id))
    conversations = _conversations(reader.user.id, CONVERSATIONS)
    grown = _conversations(grower.user.id, GROWN_CONVERSATIONS)
    # The longest is the least lately active, so that no page of conversations meets it.
    sizes = [MANY_MESSAGES] + [MESSAGES] * (CONVERSATIONS - 1)
    messages = [
        *(row for each, size in zip(conversations, sizes, strict=True) for row in _messages(reader, each, size)),
        *(row for each in grown for row in _messages(grower, each, MESSAGES)),
    ]
    rows: list[SQLModel] = [*tasks, *conversations, *grown]
    await store(database, *rows)
    for begin in range(0, len(messages), _AT_ONCE):
        await store(database, *messages[begin : begin + _AT_ONCE])
    await database.close()
    return Rows(reader, grower, writers, tasks[0].id, conversations[0].id)


def _tasks(user_id: str) -> Iterator[Task]:
    """Make tasks that stand alone, those that have parts, the parts, and the parts of these."""
    ids = new_ids(TASKS)
    for number, (row_id, parent) in enumerate(zip(ids, _parents(), strict=True)):
        moment = _BEGINNING + timedelta(minutes=number)
        yield task_row(
            user_id,
            id=row_id,
            title=f"Task {number} of the year",
            description=None if number % 4 == 0 else f"More about task {number}, as people write it down.",
            completed=number % 3 == 2,  # noqa: PLR2004
            completed_at=moment + timedelta(hours=1) if number % 3 == 2 else None,  # noqa: PLR2004
            priority=_PRIORITIES[number % len(_PRIORITIES)],
            due_at=moment + timedelta(days=number * 7 % 400) if number % 2 == 0 else None,
            tags=list(_TAGS[number % len(_TAGS)]),
            parent_id=None if parent is None else ids[parent],
            created_at=moment,
            updated_at=moment,
        )


def _parents() -> Iterator[int | None]:
    children, grandchildren = _BELOW
    below = _BRANCHES * children
    alone = TASKS - below - below * grandchildren
    yield from (None for _ in range(alone))
    yield from (number // children for number in range(below))
    yield from (alone + number // grandchildren for number in range(below * grandchildren))


def _conversations(user_id: str, count: int) -> list[Conversation]:
    moments = [_BEGINNING + timedelta(hours=number) for number in range(count)]
    return [
        Conversation(
            user_id=user_id,
            id=row_id,
            title=f"Plans of week {number}",
            revision=1,
            created_at=moment,
            updated_at=moment,
        )
        for number, (row_id, moment) in enumerate(zip(new_ids(count), moments, strict=True))
    ]


def _messages(owner: SignedIn, conversation: Conversation, count: int) -> Iterator[Message]:
    for number, row_id in enumerate(new_ids(count)):
        yield message_row(
            owner,
            conversation.id,
            id=row_id,
            role=MessageRole.USER if number % 2 == 0 else MessageRole.ASSISTANT,
            content=f"Message {number}, of a usual length, as people write them to an assistant.",
            created_at=conversation.created_at + timedelta(seconds=number),
        )
