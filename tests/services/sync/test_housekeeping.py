"""What has had its time is cleared away, and nothing else."""

from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import ColumnElement, select

from core.clock import utc_now
from core.database import Database
from core.errors import ConflictError
from core.ids import new_id
from core.settings import Settings
from models import DeletedIdentity, Deletion, HistoryAction, HistoryEntry, IdempotencyKey, Session, Task, User
from services.query.sql import fetch_all, table_of
from services.sync import housekeeping
from services.sync.housekeeping import (
    MAX_HISTORY,
    cut_history,
    delete_expired,
    delete_old_history,
    delete_old_identities,
    delete_old_keys,
    delete_old_sessions,
)
from services.tasks.undo import undo_run
from tests.factories import NOBODYS_ID, SignedIn, make_answered, make_conversation, make_user, store, task_row
from tests.services.rows import read_user

DELETIONS, KEYS, SESSIONS, CHANGES = (table_of(model).c for model in (Deletion, IdempotencyKey, Session, HistoryEntry))


def ago(days: int) -> datetime:
    return utc_now() - timedelta(days=days)


async def left(database: Database, users: list[User], *columns: ColumnElement[Any]) -> list[Any]:
    """Return what the users still have of a table, sorted."""
    statement = select(*columns).where(columns[0].table.c.user_id.in_([user.id for user in users]))
    async with database.read() as session:
        return sorted(tuple(row) for row in await fetch_all(session, statement))


async def test_old_tombstones_go_and_the_user_says_up_to_where(database: Database, settings: Settings) -> None:
    user, other = await make_user(database), await make_user(database)
    for owner, revision, days in ((user, 3, 100), (user, 5, 91), (user, 7, 89), (other, 2, 1)):
        ids = {"user_id": owner.id, "id": f"{NOBODYS_ID[:-1]}{revision}"}
        await store(database, Deletion(**ids, kind="TASK", revision=revision, deleted_at=ago(days)))
    await delete_expired(database, settings)
    assert await left(database, [user, other], DELETIONS.revision) == [(2,), (7,)]
    assert [(await read_user(database, each.id)).forgotten_revision for each in (user, other)] == [5, 0]
    # By a clock that was behind.
    late = Deletion(user_id=user.id, id=NOBODYS_ID, kind="TASK", revision=4, deleted_at=ago(100))
    await store(database, late)
    await delete_expired(database, settings)
    assert (await read_user(database, user.id)).forgotten_revision == 5


def history(task: Task, days_ago: dict[HistoryAction, int]) -> list[HistoryEntry]:
    same: dict[str, Any] = {"user_id": task.user_id, "entity": "TASK", "row_id": task.id, "before": {}, "after": {}}
    return [HistoryEntry(**same, kind=kind, revision=1, created_at=ago(days)) for kind, days in days_ago.items()]


async def test_history_of_tasks_goes_long_after_the_tasks(database: Database) -> None:
    user, stranger = await make_user(database), await make_user(database)
    living, gone, just_gone = [task_row(user.id) for _ in range(3)]
    # What has the same id is another's task.
    other = task_row(stranger.id, id=gone.id)
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
    kept = [living] * 2 + [other] + [just_gone] * 3
    found = await left(database, [user, stranger], CHANGES.user_id, CHANGES.row_id)
    assert found == sorted((task.user_id, task.id) for task in kept)


async def test_history_of_a_row_is_bounded_and_its_runs_are_not_undone(
    database: Database, settings: Settings, user: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "MAX_HISTORY", 2)
    talk = await make_conversation(database, user.caller)
    task, other = task_row(user.user.id), task_row(user.user.id)
    runs = [(await make_answered(database, user, talk.id)).run for _ in range(2)]
    await store(database, task, other)
    (old,), (new,) = (history(task, {HistoryAction.UPDATED: days}) for days in (9, 2))
    old.run_id, new.run_id = runs[0].id, runs[1].id
    await store(
        database, old, new, *history(task, {HistoryAction.CREATED: 10}), *history(task, {HistoryAction.UPDATED: 1})
    )
    await store(database, *history(other, {HistoryAction.CREATED: 100, HistoryAction.UPDATED: 99}))
    await delete_expired(database, settings)
    found = await left(database, [user.user], CHANGES.user_id, CHANGES.row_id)
    assert sorted(row_id for _, row_id in found) == sorted([task.id, task.id, other.id, other.id])
    with pytest.raises(ConflictError, match="changed so often since that the history ends"):
        await database.write(partial(undo_run, caller=user.caller, run_id=runs[0].id))
    assert (await database.write(partial(undo_run, caller=user.caller, run_id=runs[1].id))).run.undone_at


async def test_batches_are_bounded(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "_BATCH", 2)
    user = await make_user(database)
    task = task_row(user.id)
    await store(database, task, *(history(task, {HistoryAction.UPDATED: 9})[0] for _ in range(MAX_HISTORY + 3)))
    cut = partial(cut_history, user_id=user.id, row_id=task.id)
    assert [await database.write(cut) for _ in range(3)] == [True, True, False]
    assert len(await left(database, [user], CHANGES.id)) == MAX_HISTORY


async def test_old_keys_go(database: Database) -> None:
    user = await make_user(database)
    same: dict[str, Any] = {"user_id": user.id, "operation": "x", "request_hash": "x", "result_ids": []}
    keys = (IdempotencyKey(**same, key=key, created_at=ago(days)) for key, days in (("old", 31), ("new", 29)))
    await store(database, *keys)
    await database.write(delete_old_keys)
    assert await left(database, [user], KEYS.key) == [("new",)]


async def test_sessions_that_are_long_over_go(database: Database) -> None:
    user = await make_user(database)
    ends = {
        "expired long ago": (ago(8), None),
        "revoked long ago": (ago(-8), ago(8)),
        "revoked just now": (ago(-8), ago(0)),
        "alive": (ago(-8), None),
    }
    for name, (expires_at, revoked_at) in ends.items():
        await store(database, Session(user_id=user.id, token_hash=name, expires_at=expires_at, revoked_at=revoked_at))
    await database.write(delete_old_sessions)
    assert await left(database, [user], SESSIONS.token_hash) == [("alive",), ("revoked just now",)]


async def test_deleted_users_of_an_issuer_are_forgotten_when_their_tokens_have_expired(database: Database) -> None:
    issuer = f"https://{new_id()}.example.com"
    for subject, days in (("long ago", 31), ("lately", 29)):
        await store(database, DeletedIdentity(issuer=issuer, subject=subject, deleted_at=ago(days)))
    await database.write(delete_old_identities)
    identities = table_of(DeletedIdentity).c
    async with database.read() as session:
        rows = await fetch_all(session, select(identities.subject).where(identities.issuer == issuer))
    assert [row.subject for row in rows] == ["lately"]
