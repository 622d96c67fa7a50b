"""What is remembered of a mutation that was sent with a key."""

from collections.abc import Sequence
from typing import Any

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from core.database import Database
from core.errors import ConflictError
from models import IdempotencyKey, Task
from services.accounts import users
from services.accounts.caller import Caller
from services.entities.idempotency import IdempotentRequest, run_idempotent
from services.entities.revision import next_revision
from tests.factories import SignedIn
from tests.state import state_of


async def make(database: Database, caller: Caller, request: IdempotentRequest) -> tuple[list[str], bool]:
    """Make a task by the request; return its id, and whether it was made now."""
    made: list[Task] = []

    async def work(session: AsyncSession) -> list[str]:
        revision = await next_revision(session, caller.user_id)

        async def make() -> Sequence[Task]:
            made.append(Task(user_id=caller.user_id, title="x", revision=revision))
            session.add_all(made)
            await session.flush()
            return made

        return [task.id for task in await run_idempotent(session, caller, request, Task, make)]

    return await database.write(work), bool(made)


async def stored_keys(database: Database, user: SignedIn) -> list[Any]:
    return [row for row in (await state_of(database, user.user.id)).others if hasattr(row, "request_hash")]


async def test_key_is_kept_with_the_ids_and_a_hash_of_the_request(database: Database, user: SignedIn) -> None:
    ids, _ = await make(database, user.caller, IdempotentRequest("  the key ", "make", {"title": "a secret"}))
    (row,) = await stored_keys(database, user)
    assert (row.key, row.operation, row.result_ids) == ("the key", "make", ids)
    assert len(row.request_hash) == 64
    assert "secret" not in repr(tuple(row))
    await database.write(lambda session: users.delete(session, user.user.id))
    async with database.read() as session:
        assert await session.get(IdempotencyKey, (user.user.id, "the key")) is None


async def test_request_without_a_key_is_carried_out_each_time(database: Database, user: SignedIn) -> None:
    request = IdempotentRequest(None, "make", {})
    assert await make(database, user.caller, request) != await make(database, user.caller, request)
    assert await stored_keys(database, user) == []


@pytest.mark.parametrize(
    ("other", "is_same"),
    [
        (IdempotentRequest("key", "make", {"a": 1, "b": [None, "ü"]}), True),
        (IdempotentRequest(" key", "make", {"b": [None, "ü"], "a": 1}), True),
        (IdempotentRequest("key", "make", {"a": 1, "b": ["ü", None]}), False),
        (IdempotentRequest("key", "make", {"a": "1", "b": [None, "ü"]}), False),
        (IdempotentRequest("key", "make", {"a": 1}), False),
        (IdempotentRequest("key", "mend", {"a": 1, "b": [None, "ü"]}), False),
    ],
)
async def test_same_request_is_carried_out_once(
    database: Database, user: SignedIn, other: IdempotentRequest, is_same: bool
) -> None:
    ids, _ = await make(database, user.caller, IdempotentRequest("key", "make", {"a": 1, "b": [None, "ü"]}))
    if is_same:
        assert await make(database, user.caller, other) == (ids, False)
    else:
        with pytest.raises(ConflictError, match="used for another request") as refusal:
            await make(database, user.caller, other)
        assert (refusal.value.path, refusal.value.current) == (("input", "idempotencyKey"), None)
    assert (await state_of(database, user.user.id)).rows.keys() == set(ids)
