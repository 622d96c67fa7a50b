"""The change counter: taken once a transaction, without gaps, by those who are there."""

from contextlib import nullcontext

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from core.database import Database
from core.errors import UnauthenticatedError
from core.transaction import leave_unchanged
from services.accounts import users
from services.entities.revision import next_revision
from tests.factories import make_user
from tests.services.rows import change_user
from tests.state import state_of


async def test_revision_is_incremented_once_in_a_transaction(database: Database) -> None:
    user, other = await make_user(database), await make_user(database)

    async def work(session: AsyncSession) -> list[int]:
        return [await next_revision(session, user_id) for user_id in (user.id, user.id, other.id, user.id)]

    assert await database.write(work) == [1, 1, 1, 1]
    assert await database.write(work) == [2, 2, 2, 2]
    assert [(await state_of(database, each.id)).revision for each in (user, other)] == [2, 2]


@pytest.mark.parametrize("fails", [True, False])
async def test_transaction_that_fails_or_is_left_unchanged_is_not_counted(database: Database, fails: bool) -> None:
    user = await make_user(database)

    async def work(session: AsyncSession) -> None:
        assert await next_revision(session, user.id) == 1
        if fails:
            raise LookupError
        leave_unchanged(session)

    for _ in range(3):
        with pytest.raises(LookupError) if fails else nullcontext():
            await database.write(work)
    assert (await state_of(database, user.id)).revision == 0


@pytest.mark.parametrize("is_gone", [True, False])
async def test_account_that_is_gone_or_deactivated_cannot_write(database: Database, is_gone: bool) -> None:
    user = await make_user(database)
    if is_gone:
        await database.write(lambda session: users.delete(session, user.id))
    else:
        await change_user(database, user.id, is_active=False)
    with pytest.raises(UnauthenticatedError, match="This account is gone or deactivated"):
        await database.write(lambda session: next_revision(session, user.id))
