"""What the tests of types, connections and loaders are given: users with one row of each kind, and with fifty."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from core.database import Database
from core.ids import new_ids
from core.settings import Settings
from models import Conversation, Message, MessageRole, Task
from tests.factories import SignedIn, make_user, sign_in, store, task_row


@dataclass(frozen=True, slots=True)
class House:
    """An admin and what is theirs: trees of tasks three levels deep, and conversations with messages."""

    owner: SignedIn
    task_ids: list[str]
    conversation_ids: list[str]
    message_ids: list[str]


async def _furnish(database: Database, settings: Settings, count: int) -> House:
    owner = await sign_in(database, settings, await make_user(database, is_admin=True))
    user_id = owner.user.id
    level: Sequence[str | None] = [None] * count
    trees: list[list[Task]] = []
    for _ in range(3):
        trees.append([task_row(user_id, id=new, parent_id=up) for new, up in zip(new_ids(count), level, strict=True)])
        # Half of a level hangs below one task, the others one by one.
        ids = [task.id for task in trees[-1]]
        level = [ids[0]] * ((count + 1) // 2) + ids[(count + 1) // 2 :]
        await store(database, *trees[-1])
    conversations = [Conversation(user_id=user_id, id=new, title="Plans", revision=1) for new in new_ids(count)]
    await store(database, *conversations)
    messages = [
        Message(user_id=user_id, conversation_id=each.id, role=MessageRole.USER, content="Hello", revision=1)
        for each in conversations
        for _ in range(1 if count == 1 else 2)
    ]
    await store(database, *messages)
    return House(owner, [task.id for task in trees[0]], [each.id for each in conversations], [m.id for m in messages])


@pytest.fixture(scope="session")
async def one_of_each(database: Database, settings: Settings) -> House:
    return await _furnish(database, settings, 1)


@pytest.fixture(scope="session")
async def fifty_of_each(database: Database, settings: Settings) -> House:
    return await _furnish(database, settings, 50)
