"""Tasks that a run changes and their owner changes, and what the history says of it."""

from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import select

from core.database import Database
from models import HistoryEntry, Run, RunStatus, Task
from services.accounts.caller import Actor, Caller
from services.query.sql import fetch_all, table_of
from services.tasks.tasks import tasks as task_service
from services.tasks.undo import Undone, undo_run
from tests.factories import Answered, SignedIn, make_answered, make_conversation, make_task

TASKS: Final = table_of(Task)
CHANGES: Final = table_of(HistoryEntry)


@dataclass(frozen=True, slots=True)
class Hand:
    """Somebody who changes the tasks of a user: the user, or a run."""

    database: Database
    caller: Caller

    async def make(self, title: str = "Water the plants", **values: Any) -> Task:
        return await make_task(self.database, self.caller, title, **values)

    async def change(self, task: Task, **values: Any) -> Task:
        return await self.database.write(lambda session: task_service.update(session, self.caller, task.id, values))

    async def delete(self, task: Task) -> list[str]:
        return await self.database.write(lambda session: task_service.delete(session, self.caller, task.id))

    async def tasks(self) -> dict[str, dict[str, Any]]:
        return await tasks_of(self.database, self.caller)

    async def history(self, task: Task | None = None) -> list[Any]:
        return await history_of(self.database, self.caller, None if task is None else task.id)


@dataclass(frozen=True, slots=True)
class Assisted(Hand):
    """A run of the assistant's that has ended, and changes tasks all the same."""

    run: Run
    answered: Answered

    async def undo(self) -> Undone:
        person = replace(self.caller, actor=None)
        return await self.database.write(lambda session: undo_run(session, person, self.run.id))


async def assisted(database: Database, owner: SignedIn, status: RunStatus = RunStatus.COMPLETED) -> Assisted:
    """Return a run of the owner's, with the one tool call by which it does everything."""
    conversation = await make_conversation(database, owner.caller)
    answered = await make_answered(database, owner, conversation.id, 1, status=status)
    actor = Actor(answered.run.id, answered.calls[0].id)
    return Assisted(database, replace(owner.caller, actor=actor), answered.run, answered)


def task_ids(undone: Undone) -> list[str]:
    """Return the ids of the tasks that are back, or as they were."""
    return [task.id for task in undone.tasks]


async def history_of(database: Database, caller: Caller, task_id: str | None = None) -> list[Any]:
    """Return the caller's history, or that of one task, as it happened."""
    condition = CHANGES.c.user_id == caller.user_id, *([CHANGES.c.row_id == task_id] if task_id else [])
    async with database.read() as session:
        statement = select(CHANGES).where(*condition).order_by(CHANGES.c.revision, CHANGES.c.id)
        return list(await fetch_all(session, statement))


async def tasks_of(database: Database, caller: Caller) -> dict[str, dict[str, Any]]:
    """Return the caller's tasks as they are, but for what each change stamps."""
    async with database.read() as session:
        rows = await fetch_all(session, select(TASKS).where(TASKS.c.user_id == caller.user_id))
    stamps = {"revision", "updated_at", "user_id"}
    return {row.id: {name: value for name, value in row._asdict().items() if name not in stamps} for row in rows}
