"""What is remembered of a mutation that was sent with a key."""

from collections.abc import Sequence
from typing import Any

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from core.database import Database
from core.errors import ConflictError
from models import IdempotencyKey, Task
from services.accounts.caller import Caller
from services.entities.idempotency import IdempotentRequest, run_idempotent
from services.entities.revision import next_revision
from tests.factories import SignedIn
from tests.state import state_of


class Making:
    """Makes a task, and counts how often."""

    def __init__(self, database: Database, caller: Caller) -> None:
        self.database = database
        self.caller = caller
        self.times = 0

    async def __call__(self, request: IdempotentRequest) -> list[str]:
        async def work(session: AsyncSession) -> list[str]:
            revision = await next_revision(session, self.caller.user_id)

            async def make() -> Sequence[Task]:
                self.times += 1
                task = Task(user_id=self.caller.user_id, title="x", revision=revision)
                session.add(task)
                await session.flush()
                return [task]

            return [task.id for task in await run_idempotent(session, self.caller, request, Task, make)]

        return await self.database.write(work)


async def test_key_is_kept_with_the_ids_and_a_hash_of_the_request(database: Database, user: SignedIn) -> None:
    (made,) = await Making(database, user.caller)(IdempotentRequest("  the key ", "make", {"title": "a secret"}))
    (row,) = [row for row in (await state_of(database, user.user.id)).others if hasattr(row, "request_hash")]
    assert (row.key, row.operation, row.result_ids) == ("the key", "make", [made])
    assert len(row.request_hash) == 64
    assert "secret" not in repr(tuple(row))


async def test_request_without_a_key_is_carried_out_each_time(database: Database, user: SignedIn) -> None:
    making = Making(database, user.caller)
    request = IdempotentRequest(None, "make", {})
    assert await making(request) != await making(request)
    assert not [row for row in (await state_of(database, user.user.id)).others if hasattr(row, "request_hash")]


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
async def test_same_request_is_carried_out_once_and_another_is_refused(
    database: Database, user: SignedIn, other: IdempotentRequest, *, is_same: bool
) -> None:
    making = Making(database, user.caller)
    first = await making(IdempotentRequest("key", "make", {"a": 1, "b": [None, "ü"]}))
    if is_same:
        assert await making(other) == first
    else:
        with pytest.raises(ConflictError, match="used for another request") as refusal:
            await making(other)
        assert (refusal.value.path, refusal.value.current) == (("input", "idempotencyKey"), None)
    assert making.times == 1


async def test_keys_are_deleted_with_their_user(database: Database, user: SignedIn) -> None:
    await Making(database, user.caller)(IdempotentRequest("key", "make", {}))

    async def leave(session: AsyncSession) -> Any:
        await session.delete(await session.get_one(type(user.user), user.user.id))
        await session.flush()
        return await session.get(IdempotencyKey, (user.user.id, "key"), populate_existing=True)

    assert await database.write(leave) is None
