"""Backups made as docs/operations.md says, and restored while clients hold cursors of what came after them."""

import asyncio
import shutil
import sqlite3
import subprocess
from collections.abc import Awaitable, Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from core.database import Database
from core.errors import ConflictError, CursorExpiredError
from core.settings import Settings
from models import Task
from server.cli import main
from services.conversations import messages
from services.conversations.messages import MessageCursor, present_cursor, read_message_cursor
from services.sync import changes as sync
from services.sync.changes import Cursor, read_changes, read_counter, read_cursor
from services.tasks.tasks import tasks as task_service
from tests.databases import Databases, PostgresDatabases, make_settings, opened
from tests.factories import SignedIn, make_conversation, make_message, make_task, sign_in
from tests.servers import serve_with
from tests.socket_client import signed_in_socket

CHANGES: Final = "subscription ($since: String) { changes(since: $since) { cursor } }"
ADDED: Final = "subscription ($id: ID!) { messageAdded(conversationId: $id) { cursor } }"
Restore = Callable[[], Awaitable[Settings]]


@pytest.fixture
def back_up(databases: Databases, fresh_settings: Settings, tmp_path: Path) -> Callable[[], Restore]:
    """Give what makes a backup while the database is in use, and gives what restores it."""
    backup = tmp_path / "backup"
    if isinstance(databases, PostgresDatabases):
        return partial(_dump, databases, fresh_settings, backup)
    return partial(_vacuum, fresh_settings, backup)


def _vacuum(settings: Settings, backup: Path) -> Restore:
    with closing(sqlite3.connect(settings.database_url.removeprefix("sqlite:///"))) as connection:
        connection.execute("VACUUM INTO ?", (str(backup),))

    async def restore() -> Settings:
        shutil.copyfile(backup, restored := backup.with_suffix(".db"))
        return make_settings(f"sqlite:///{restored}")

    return restore


def _dump(databases: PostgresDatabases, settings: Settings, backup: Path) -> Restore:
    programs = databases.server.bin_path
    dump = (programs / "pg_dump", "--format=custom", f"--file={backup}", settings.database_url)
    subprocess.run(dump, check=True)

    async def restore() -> Settings:
        url = await databases.create("template0")
        await asyncio.to_thread(
            subprocess.run, (programs / "pg_restore", "--no-owner", f"--dbname={url}", backup), check=True
        )
        return make_settings(url)

    return restore


async def run_restored(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", settings.database_url)
    monkeypatch.setenv("SECRET_KEY", settings.secret_key)
    assert await asyncio.to_thread(main, ["restored"]) == 0


async def resume(database: Database, user: SignedIn, cursor: str) -> Cursor:
    return sync.resume(read_cursor(cursor, "since"), await read_counter(database.reader, user.caller))


async def resume_messages(database: Database, user: SignedIn, talk: str, cursor: str) -> MessageCursor:
    present = await present_cursor(database.reader, user.caller, talk)
    return messages.resume(read_message_cursor(cursor, "after"), present)


async def cursor_of(database: Database, user: SignedIn) -> str:
    counter = await read_counter(database.reader, user.caller)
    return Cursor(counter.revision, epoch=counter.epoch).write()


async def change(database: Database, user: SignedIn, task: Task, title: str, expected: int | None = None) -> Task:
    changes = {"title": title}
    return await database.write(
        partial(task_service.update, caller=user.caller, row_id=task.id, changes=changes, expected_revision=expected)
    )


async def test_cursors_from_before_a_restore_are_refused(
    fresh_settings: Settings, back_up: Callable[[], Restore], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(fresh_settings) as database:
        user = await sign_in(database, fresh_settings)
        task, talk = await make_task(database, user.caller), await make_conversation(database, user.caller)
        kept = await cursor_of(database, user)
        restore = back_up()
        # What is lost: a change of the task, a new one, and a message.
        seen = (await change(database, user, task, "lost")).revision
        await make_task(database, user.caller, "ghost")
        await make_message(database, user.caller, talk.id)
        lost = await cursor_of(database, user)
        lost_message = (await present_cursor(database.reader, user.caller, talk.id)).write()
    settings = await restore()
    async with opened(settings) as database:
        assert (await resume(database, user, kept)).write() == kept
        for resumed in (resume(database, user, lost), resume_messages(database, user, talk.id, lost_message)):
            with pytest.raises(CursorExpiredError, match="ahead of what the account holds"):
                await resumed
        await run_restored(settings, monkeypatch)
        for number in range(4):
            await change(database, user, task, f"kept {number}")
        for cursor in (kept, lost):
            with pytest.raises(CursorExpiredError, match="restored since this cursor was made"):
                await resume(database, user, cursor)
        with pytest.raises(CursorExpiredError, match="restored since this cursor was made"):
            await resume_messages(database, user, talk.id, lost_message)
        # A revision from the lost time names nothing of the new one.
        with pytest.raises(ConflictError):
            await change(database, user, task, "over the other", seen)
        found = await read_changes(database.reader, user.caller, sync.resume(None, await counter_of(database, user)), 9)
        assert {each.id for each in found.entries} == {user.user.id, task.id, talk.id}
        assert await resume(database, user, found.cursor.write()) == found.cursor


async def counter_of(database: Database, user: SignedIn) -> Any:
    return await read_counter(database.reader, user.caller)


async def test_who_follows_while_the_epoch_changes_is_told(
    fresh_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(fresh_settings) as database, serve_with(fresh_settings) as server:
        user = await sign_in(database, fresh_settings)
        talk = await make_conversation(database, user.caller)
        async with signed_in_socket(server, user.token) as socket:
            await socket.subscribe(CHANGES, {"since": await cursor_of(database, user)}, "changes")
            await socket.subscribe(ADDED, {"id": talk.id}, "messages")
            await server.until_followed(user.user.id, 2)
            # By a process that tells nobody.
            await run_restored(fresh_settings, monkeypatch)
            ends = [await socket.receive() for _ in range(2)]
        assert {end["id"]: end["payload"][0]["extensions"]["code"] for end in ends} == {
            "changes": "CURSOR_EXPIRED",
            "messages": "CURSOR_EXPIRED",
        }
