"""The fields of Query."""

import asyncio
from functools import partial
from typing import Any

import strawberry

import models
from core.errors import BadUserInputError
from graph.connection import Connection, connect
from graph.context import Info
from graph.conversation import Conversation
from graph.mapping import Node, TypedRow
from graph.relations import load_row
from graph.selection import columns_by_model, selected_columns
from graph.sync import ChangeSet, ChangesFirst, ChangesTypes, load_changes
from graph.task import Task
from graph.user import User, load_user
from services.accounts.users import own_row, user_listing
from services.conversations.conversations import ConversationOrder, conversation_listing
from services.query.lookup import find_node
from services.query.pagination import MAX_PAGE_SIZE, PageArguments
from services.sync.changes import check_kinds, check_size, read_changes, read_counter, read_cursor, resume
from services.tasks.task_lists import TaskFilter, TaskOrder, task_listing


@strawberry.type(description="Reads; nothing changes by them.")
class Query:
    @strawberry.field(graphql_type=User | None, description="The caller; null for an anonymous one.")
    async def viewer(self, info: Info) -> Any:
        caller, columns = info.context.caller, selected_columns(info, models.User)
        return None if caller is None else await own_row(info.context.database.batch_loader, caller, columns)

    @strawberry.field(
        graphql_type=Connection[User], description="All users in the order of their signing up; for admins."
    )
    async def users(
        self,
        info: Info,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> Any:
        make = partial(user_listing, info.context.require_caller())
        return await connect(info, models.User, make, PageArguments(first, after, last, before))

    @strawberry.field(graphql_type=Node | None, description="Anything of the caller's by its id.")
    async def node(self, info: Info, id: strawberry.ID) -> Any:
        return await _load_node(info, id)

    @strawberry.field(
        graphql_type=list[Node | None],
        description="Up to 100 things of the caller's by their ids, in that order; null where there is none.",
    )
    async def nodes(self, info: Info, ids: list[strawberry.ID]) -> Any:
        if len(ids) > MAX_PAGE_SIZE:
            raise BadUserInputError(f"ids takes at most {MAX_PAGE_SIZE}; it has {len(ids)}.", path=("ids",))
        return await asyncio.gather(*(_load_node(info, node_id) for node_id in ids))

    @strawberry.field(graphql_type=Task | None, description="The caller's task of an id.")
    async def task(self, info: Info, id: strawberry.ID) -> Any:
        return await load_row(info, models.Task, id)

    @strawberry.field(
        graphql_type=Connection[Task],
        description="The caller's tasks, in the order of their making where no order is asked for.",
    )
    async def tasks(
        self,
        info: Info,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
        filter: TaskFilter | None = None,
        order_by: list[TaskOrder] | None = None,
    ) -> Any:
        make = partial(task_listing, info.context.require_caller(), task_filter=filter, order=order_by)
        return await connect(info, models.Task, make, PageArguments(first, after, last, before))

    @strawberry.field(graphql_type=Conversation | None, description="The caller's conversation of an id.")
    async def conversation(self, info: Info, id: strawberry.ID) -> Any:
        return await load_row(info, models.Conversation, id)

    @strawberry.field(
        graphql_type=Connection[Conversation],
        description="The caller's conversations, the latest active first where no order is asked for.",
    )
    async def conversations(
        self,
        info: Info,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
        order_by: list[ConversationOrder] | None = None,
    ) -> Any:
        make = partial(conversation_listing, info.context.require_caller(), order=order_by)
        return await connect(info, models.Conversation, make, PageArguments(first, after, last, before))

    @strawberry.field(
        graphql_type=ChangeSet,
        description="What changed after a cursor, page by page: read on from its cursor while hasMore. Without a "
        "cursor it is all that there is.",
    )
    async def changes(
        self, info: Info, since: str | None = None, first: ChangesFirst = None, types: ChangesTypes = None
    ) -> Any:
        caller, size = info.context.require_caller(), check_size(first)
        cursor = None if since is None else read_cursor(since, "since")
        kinds = check_kinds(types, cursor)
        reader = info.context.database.reader
        cursor = resume(cursor, await read_counter(reader, caller), kinds)
        changes = await read_changes(reader, caller, cursor, size)
        return await load_changes(info, changes)


async def _load_node(info: Info, node_id: str) -> Any:
    caller = info.context.require_caller()
    if node_id != caller.user_id:
        columns = columns_by_model(info, (*models.ENTITIES, models.Session))
        row = await find_node(info.context.database.batch_loader, caller, columns, node_id)
        if row is not None or not caller.is_admin:
            return row
    user = await load_user(info, node_id)
    return None if user is None else TypedRow("User", user)
