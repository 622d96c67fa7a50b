"""What has had its time is cleared away, and nothing else."""

from datetime import timedelta

import pytest
from sqlalchemy import insert, select
from sqlmodel.ext.asyncio.session import AsyncSession

from core.clock import utc_now
from core.database import Database
from core.errors import CursorExpiredError
from core.ids import new_id
from models import Deletion, HistoryAction, HistoryEntry, IdempotencyKey, Session, Task, User
from services.query.sql import execute, fetch_all, table_of
from services.sync.changes import Counter, Cursor, resume
from services.sync.housekeeping import delete_old_history, delete_old_keys, delete_old_sessions, delete_old_tombstones
from tests.factories import make_user, store, task_row

DELETIONS, KEYS, SESSIONS, USERS = (table_of(model) for model in (Deletion, IdempotencyKey, Session, User))
CHANGES = table_of(HistoryEntry)


def tombstone(user: User, revision: int, days_ago: int) -> dict[str, object]:
    moment = utc_now() - timedelta(days=days_ago)
    return {
        "user_id": user.id,
        "id": new_id(),
        "kind": "TASK",
        "revision": revision,
        "deleted_at": moment,
    }


async def test_old_tombstones_go_and_the_user_says_up_to_where(database: Database) -> None:
    user, other = await make_user(database), await make_user(database)
    rows = [tombstone(user, 3, 100), tombstone(user, 5, 91), tombstone(user, 7, 89), tombstone(other, 2, 1)]

    async def work(session: AsyncSession) -> None:
        await execute(session, insert(DELETIONS).values(rows))
        await delete_old_tombstones(session, 90)

    await database.write(work)

    async with database.read() as session:
        left = await fetch_all(
            session,
            select(DELETIONS.c.revision).where(DELETIONS.c.user_id.in_([user.id, other.id])).order_by("revision"),
        )
        forgotten = await fetch_all(session, select(USERS.c.forgotten_revision).where(USERS.c.id == user.id))
        untouched = await fetch_all(session, select(USERS.c.forgotten_revision).where(USERS.c.id == other.id))
    assert [row.revision for row in left] == [2, 7]
    assert forgotten[0].forgotten_revision == 5
    assert untouched[0].forgotten_revision == 0


@pytest.mark.parametrize("cursor", [Cursor(4), Cursor(0, None, 4), Cursor(4, new_id(), 0)])
def test_a_cursor_older_than_what_is_forgotten_is_refused(cursor: Cursor) -> None:
    with pytest.raises(CursorExpiredError, match="too old"):
        resume(cursor, Counter(9, 5))


@pytest.mark.parametrize("cursor", [Cursor(5), Cursor(9), Cursor(2, None, 5)])
def test_a_cursor_that_knows_what_is_forgotten_goes_on(cursor: Cursor) -> None:
    assert resume(cursor, Counter(9, 5)) == cursor


def history(task: Task, days_ago: dict[HistoryAction, int]) -> list[HistoryEntry]:
    return [
        HistoryEntry(
            user_id=task.user_id,
            entity="TASK",
            row_id=task.id,
            kind=kind,
            before={},
            after={},
            revision=1,
            created_at=utc_now() - timedelta(days=days),
        )
        for kind, days in days_ago.items()
    ]


async def test_the_history_of_tasks_goes_long_after_the_tasks(database: Database) -> None:
    user = await make_user(database)
    living, gone, just_gone = [task_row(user.id) for _ in range(3)]
    # What has the same id is another's task.
    other = task_row((await make_user(database)).id, id=gone.id)
    made, changed, deleted = HistoryAction
    await store(database, living, other)
    await store(
        database,
        *history(living, {made: 200, changed: 100}),
        *history(other, {made: 200}),
        *history(gone, {made: 200, changed: 100, deleted: 91}),
        *history(just_gone, {made: 200, changed: 100, deleted: 89}),
    )

    await database.write(lambda session: delete_old_history(session, 90))

    async with database.read() as session:
        whose = CHANGES.c.user_id.in_([user.id, other.user_id])
        left = await fetch_all(session, select(CHANGES.c.user_id, CHANGES.c.row_id).where(whose))
    expected = [(living, 2), (other, 1), (just_gone, 3)]
    assert sorted(tuple(row) for row in left) == sorted(
        (task.user_id, task.id) for task, count in expected for _ in range(count)
    )


async def test_old_keys_go(database: Database) -> None:
    user = await make_user(database)

    async def work(session: AsyncSession) -> None:
        for key, days_ago in (("old", 31), ("new", 29)):
            moment = utc_now() - timedelta(days=days_ago)
            session.add(
                IdempotencyKey(
                    user_id=user.id, key=key, operation="x", request_hash="x", result_ids=[], created_at=moment
                )
            )
        await session.flush()
        await delete_old_keys(session)

    await database.write(work)

    async with database.read() as session:
        left = await fetch_all(session, select(KEYS.c.key).where(KEYS.c.user_id == user.id))
    assert [row.key for row in left] == ["new"]


async def test_sessions_that_are_long_over_go(database: Database) -> None:
    user = await make_user(database)
    now = utc_now()
    ends = {
        "expired long ago": (now - timedelta(days=8), None),
        "revoked long ago": (now + timedelta(days=8), now - timedelta(days=8)),
        "revoked just now": (now + timedelta(days=8), now),
        "alive": (now + timedelta(days=8), None),
    }

    async def work(session: AsyncSession) -> None:
        for name, (expires_at, revoked_at) in ends.items():
            session.add(Session(user_id=user.id, token_hash=name, expires_at=expires_at, revoked_at=revoked_at))
        await session.flush()
        await delete_old_sessions(session)

    await database.write(work)

    async with database.read() as session:
        left = await fetch_all(session, select(SESSIONS.c.token_hash).where(SESSIONS.c.user_id == user.id))
    assert {row.token_hash for row in left} == {"revoked just now", "alive"}
