"""The rules of tasks beyond those of all entities: completion, search words, and no task below itself."""

from typing import Final

from sqlalchemy import select
from sqlmodel.ext.asyncio.session import AsyncSession

from core.clock import utc_now
from core.errors import BadUserInputError
from models import Task
from services.accounts.caller import Caller
from services.entities.service import EntityService
from services.entities.values import INPUT, Values
from services.query.sql import fetch_all, table_of
from services.tasks.words import searchable

_TASKS: Final = table_of(Task)


class TaskService(EntityService[Task]):
    """Create, update, complete and delete tasks."""

    def derive(self, values: Values, row: Task | None) -> Values:
        """Set the moment of completion, and the words that search finds a task by."""
        if "completed" in values:
            completed_at = None if row is None else row.completed_at
            values["completed_at"] = (completed_at or utc_now()) if values["completed"] else None
        if "title" in values or "description" in values:
            title = values["title"] if "title" in values or row is None else row.title
            description = values["description"] if "description" in values or row is None else row.description
            values["words"] = searchable(title, description)
        return values

    async def check_update(self, session: AsyncSession, caller: Caller, row: Task, values: Values) -> None:
        """Refuse a parent that is the task itself or below it."""
        parent_id = values.get("parent_id")
        if parent_id is None:
            return
        columns = _TASKS.c.id, _TASKS.c.parent_id
        parents = select(*columns).where(caller.owns(_TASKS), _TASKS.c.id == parent_id).cte("parents", recursive=True)
        above = select(*columns).where(caller.owns(_TASKS), _TASKS.c.id == parents.c.parent_id)
        parents = parents.union(above)
        if await fetch_all(session, select(parents.c.id).where(parents.c.id == row.id)):
            message = "A task cannot be below itself; choose a parent outside its subtasks."
            raise BadUserInputError(message, path=(*INPUT, "parentId"))

    async def toggle(
        self, session: AsyncSession, caller: Caller, row_id: str, expected_revision: int | None = None
    ) -> Task:
        """Complete an open task, reopen a completed one."""
        return await self.change(
            session, caller, row_id, lambda task: {"completed": not task.completed}, expected_revision
        )


tasks: Final = TaskService(Task)
