"""The REST routes of tasks."""

from datetime import datetime
from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

import models
from models import TaskPriority
from server.rest.caller import SignedIn
from server.rest.described import problems, stamped
from server.rest.fields import (
    Body,
    Deleted,
    Flag,
    GivenId,
    IdempotencyKey,
    IfMatch,
    Items,
    Moment,
    OrderedBy,
    PageQuery,
    Row,
    described_by,
    expected_revision,
    read_order,
    read_page,
    stamp,
    text,
)
from server.rest.route import RestRoute
from services import task as tasks
from services.query.lookup import not_found, rows_by_id
from services.task import TaskChanges
from services.task_filter import TaskFilter
from services.task_list import TaskOrder, TaskOrderField, task_listing
from services.task_making import NewTask, make_task

router: Final = APIRouter(prefix="/api/tasks", tags=["tasks"], route_class=RestRoute)

Priority = Annotated[TaskPriority, Field(strict=False, description="How much it matters.")]
Title = Annotated[str, text("1 to 500 characters.", most=500)]
Description = Annotated[str | None, text("Up to 10,000 characters.", least=0, most=10_000)]
DueAt = Annotated[Moment | None, Field(description="When it is due: RFC 3339 with an offset.")]
Tags = Annotated[
    list[Annotated[str, text("A label.", most=50)]],
    Field(description="Up to 20 labels of 50 characters.", json_schema_extra={"maxItems": 20}),
]
Search = Annotated[str | None, text("Only those with words that begin with these.", least=0, most=1_000)]
ParentId = Annotated[str | None, Field(description="The task that it is a part of.")]


@described_by(models.Task)
class Task(Row):
    """Something to do."""

    id: str = Field(description="Its id, a UUID.")
    title: str
    description: str | None
    completed: bool
    completed_at: datetime | None
    priority: TaskPriority
    due_at: datetime | None
    tags: list[str]
    parent_id: str | None = Field(description="The task that it is a part of.")
    revision: int
    created_at: datetime
    updated_at: datetime


class TaskPage(Items[Task]):
    """A page of tasks."""


class TaskToMake(Body):
    """A task to make."""

    title: Title
    id: GivenId = None
    description: Description = None
    priority: Priority = TaskPriority.MEDIUM
    due_at: DueAt = None
    tags: Tags = Field(default_factory=list)
    parent_id: ParentId = None


class TaskPatch(Body):
    """What is to change of a task: what is left out stays, null clears."""

    title: Title = Field(default_factory=str)
    description: Description = None
    completed: bool = Field(default_factory=bool, description="Whether it is done.")
    priority: Priority = Field(default_factory=lambda: TaskPriority.MEDIUM)
    due_at: DueAt = None
    tags: Tags = Field(default_factory=list)
    parent_id: ParentId = None


class TaskReplacement(Body):
    """A task as it is to be: what is left out is as in a new one."""

    title: Title
    description: Description = None
    completed: bool = Field(default=False, description="Whether it is done.")
    priority: Priority = TaskPriority.MEDIUM
    due_at: DueAt = None
    tags: Tags = Field(default_factory=list)
    parent_id: ParentId = None


class TaskQuery(PageQuery):
    """Which tasks, in which order."""

    completed: Flag | None = Field(default=None, description="Only those that are done, or only those that are not.")
    priority: list[TaskPriority] = Field(default_factory=list, description="Only those of these priorities.")
    search: Search = None
    order: list[Annotated[str, OrderedBy(TaskOrderField)]] = Field(
        default_factory=list, description="What to order by, from the weightiest on; a minus before it turns it round."
    )


COLUMNS: Final = frozenset(Task.model_fields)


@router.get("", responses=problems(401))
async def list_tasks(context: SignedIn, query: Annotated[TaskQuery, Query()]) -> TaskPage:
    """List the caller's tasks, in the order of their making where no order is asked for."""
    wanted = TaskFilter(completed=query.completed, priority=query.priority or None, search=query.search)
    order = [TaskOrder(TaskOrderField(field), direction) for field, direction in map(read_order, query.order)]
    listing = task_listing(context.require_caller(), COLUMNS, wanted, order)
    return await read_page(context, listing, query, TaskPage)


@router.post("", status_code=201, responses=problems(401, 404, 409, body=True) | stamped(201, location=True))
async def create_task(context: SignedIn, body: TaskToMake, response: Response, key: IdempotencyKey = None) -> Task:
    """Make a task."""
    new = NewTask(**body.model_dump(), idempotency_key=key)
    task = await context.changing(make_task(context.database, context.require_caller(), new))
    response.headers["location"] = f"/api/tasks/{task.id}"
    return stamp(response, Task, task)


@router.get("/{task_id}", responses=problems(401, 404) | stamped(200))
async def read_task(context: SignedIn, task_id: str, response: Response) -> Task:
    """Read one task."""
    async with context.database.read() as session:
        (row,) = await rows_by_id(session, context.require_caller(), models.Task, [task_id], COLUMNS)
    if row is None:
        raise not_found(models.Task, ("input", "id"))
    return stamp(response, Task, row)


@router.patch("/{task_id}", responses=problems(401, 404, 412, body=True) | stamped(200))
async def update_task(
    context: SignedIn, task_id: str, body: TaskPatch, response: Response, if_match: IfMatch = None
) -> Task:
    """Change what is given of a task: what is left out stays, null clears."""
    return stamp(response, Task, await _change(context, task_id, body.model_dump(exclude_unset=True), if_match))


@router.put("/{task_id}", responses=problems(401, 404, 412, body=True) | stamped(200))
async def replace_task(
    context: SignedIn, task_id: str, body: TaskReplacement, response: Response, if_match: IfMatch = None
) -> Task:
    """Replace a task: what is left out is as in a new one."""
    return stamp(response, Task, await _change(context, task_id, body.model_dump(), if_match))


@router.post("/{task_id}/toggle", responses=problems(401, 404, 412) | stamped(200))
async def toggle_task(context: SignedIn, task_id: str, response: Response, if_match: IfMatch = None) -> Task:
    """Complete an open task, reopen a completed one."""
    work = partial(tasks.toggle_task, task_id=task_id, expected_revision=expected_revision(if_match))
    return stamp(response, Task, await context.write(work))


@router.delete("/{task_id}", responses=problems(401, 404, 412))
async def delete_task(context: SignedIn, task_id: str, if_match: IfMatch = None) -> Deleted:
    """Delete a task with its subtasks."""
    work = partial(tasks.delete_task, task_id=task_id, expected_revision=expected_revision(if_match))
    return Deleted(deleted_ids=await context.write(work))


async def _change(context: SignedIn, task_id: str, values: dict[str, Any], if_match: str | None) -> models.Task:
    changes = TaskChanges(**values)  # type: ignore[typeddict-item]  # the names are the same
    expected = expected_revision(if_match)
    return await context.write(partial(tasks.update_task, task_id=task_id, changes=changes, expected_revision=expected))
