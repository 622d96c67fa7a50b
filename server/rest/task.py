"""The REST routes of tasks."""

from functools import partial
from typing import Annotated, Final

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

import models
from models import TaskPriority
from server.rest.entities import CreateBody, add_entity_routes, create_body_of, replace_body_of, row_of, update_row
from server.rest.fields import (
    Body,
    Flag,
    IfMatch,
    Items,
    Moment,
    OrderedBy,
    PageQuery,
    Row,
    example,
    expected_revision,
    read_order,
    read_page,
    stamp,
    text,
)
from server.rest.problem import problems, stamped
from server.rest.route import RestRoute, SignedIn
from services.entities.lists import DateTimeFilter
from services.tasks.task_lists import TaskFilter, TaskOrder, task_listing
from services.tasks.tasks import tasks

router: Final = APIRouter(prefix="/api/tasks", tags=["tasks"], route_class=RestRoute)

Search = Annotated[str | None, text("Only those with words that begin with these.", min_length=0, max_length=1_000)]

Tag = Annotated[str, text("A tag.", min_length=0, max_length=50)]


@row_of(models.Task)
class Task(Row):
    """Something to do."""


class TaskPage(Items[Task]):
    """A page of tasks."""


@create_body_of(models.Task)
class TaskToMake(CreateBody):
    """A task to make."""

    model_config = example(title="Water the plants", priority="HIGH", due_at="2030-01-31T09:00:00Z", tags=["home"])


@replace_body_of(models.Task)
class TaskReplacement(Body):
    """A task as it is to be: what is left out is as in a new one."""

    model_config = example(title="Water the plants", description="All but the cactus.", completed=False)


class TaskQuery(PageQuery):
    """Which tasks, in which order."""

    completed: Flag | None = Field(default=None, description="Only those that are done, or only those that are not.")
    priority: list[TaskPriority] = Field(default_factory=list, description="Only those of these priorities.")
    tags: list[Tag] = Field(default_factory=list, description="Only those with all of these tags.")
    due_after: Moment | None = Field(default=None, description="Only those due at this moment or later.")
    due_before: Moment | None = Field(default=None, description="Only those due before this moment.")
    search: Search = None
    order: list[Annotated[str, OrderedBy(TaskOrder)]] = Field(
        default_factory=list, description="What to order by, from the weightiest on; a minus before it turns it round."
    )


_COLUMNS: Final = frozenset(Task.model_fields)


@router.get("", responses=problems(401))
async def list_tasks(context: SignedIn, query: Annotated[TaskQuery, Query()]) -> TaskPage:
    """List the caller's tasks, in the order of their making where no order is asked for."""
    is_bounded = query.due_after is not None or query.due_before is not None
    wanted = TaskFilter(
        completed=query.completed,
        priority=query.priority or None,
        tags=query.tags or None,
        due_at=DateTimeFilter(gte=query.due_after, lt=query.due_before) if is_bounded else None,
        search=query.search,
    )
    listing = task_listing(context.require_caller(), _COLUMNS, wanted, read_order(TaskOrder, query.order))
    return await read_page(context, listing, query, TaskPage)


add_entity_routes(router, tasks, Task, TaskToMake, example(completed=True))


@router.put("/{task_id}", responses=problems(401, 404, 412, body=True) | stamped(200))
async def replace_task(
    context: SignedIn, task_id: str, body: TaskReplacement, response: Response, if_match: IfMatch = None
) -> Task:
    """Replace a task: what is left out is as in a new one."""
    return stamp(response, Task, await update_row(context, tasks, task_id, body.model_dump(), if_match))


@router.post("/{task_id}/toggle", responses=problems(401, 404, 412) | stamped(200))
async def toggle_task(context: SignedIn, task_id: str, response: Response, if_match: IfMatch = None) -> Task:
    """Complete an open task or reopen a completed one."""
    work = partial(tasks.toggle, row_id=task_id, expected_revision=expected_revision(if_match))
    return stamp(response, Task, await context.write(work))
