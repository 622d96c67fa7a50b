"""Adapters that give GraphQL, REST and MCP one interface to tasks, and one error."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

import httpx2
from mcp import Client, MCPError
from pydantic.alias_generators import to_camel

from core.database import Database
from models import Task as TaskRow
from models.columns import creatable_columns
from tests.access_tokens import make_access_token
from tests.factories import SignedIn
from tests.graph_client import GraphClient, mutation
from tests.server.mcp.client import connected, text_of
from tests.server.rest.client import RestClient
from tests.servers import RunningServer

Task = dict[str, Any]
# What clients give and are shown, and whether it is done; the parent is an object in GraphQL.
_NAMES: Final = ["id", "completed", *(column.name for column in creatable_columns(TaskRow))]
_TASK: Final = " ".join(to_camel(name) for name in _NAMES if name != "parent_id") + " parent { id }"
_LIST: Final = f"""query ($first: Int, $filter: TaskFilter, $orderBy: [TaskOrder!]) {{
    tasks(first: $first, filter: $filter, orderBy: $orderBy) {{ nodes {{ {_TASK} }} }}
}}"""
_GET: Final = f"query ($id: ID!) {{ task(id: $id) {{ {_TASK} }} }}"
_BEST_FIRST: Final = {"priority"}


@dataclass
class RefusedError(Exception):
    """A refusal by an API; a tool's result has a message alone, no code."""

    code: str | None
    message: str


def normal(task: Mapping[str, Any]) -> Task:
    shown = {name: task.get(name, task.get(to_camel(name))) for name in _NAMES}
    if shown["due_at"]:
        shown["due_at"] = datetime.fromisoformat(shown["due_at"]).astimezone(UTC).isoformat()
    if parent := task.get("parent"):
        shown["parent_id"] = parent["id"]
    return shown


async def execute(client: GraphClient, user: SignedIn, document: str, variables: Mapping[str, Any]) -> Any:
    answer = await client.execute(document, dict(variables), as_=user)
    for error in answer.errors:
        raise RefusedError(error["extensions"]["code"], error["message"])
    return answer.data


async def mutate(client: GraphClient, user: SignedIn, name: str, fields: str | None = None, **given: Any) -> Any:
    """Return the payload of a GraphQL mutation, with these fields of what it made or changed."""
    given = {to_camel(key): value for key, value in given.items()}
    payload = (await execute(client, user, mutation(name, fields), {"input": given}))[name]
    for error in payload["errors"]:
        raise RefusedError(error["code"], error["message"])
    return payload


async def send(client: RestClient, method: str, path: str, body: Any = None, **more: Any) -> Any:
    response = await client.send(method, path, body, **more)
    told = response.json()
    if not response.is_success:
        raise RefusedError(told["code"], told["detail"])
    return told


class _Shorthands:
    """What is one of the other operations, unless an API has its own for it."""

    async def search(self, words: str, **wanted: Any) -> list[Task]:
        return await self.find(search=words, **wanted)  # type: ignore[attr-defined, no-any-return]

    async def complete(self, task_id: str) -> Task:
        return await self.update(task_id, completed=True)  # type: ignore[attr-defined, no-any-return]

    async def reopen(self, task_id: str) -> Task:
        return await self.update(task_id, completed=False)  # type: ignore[attr-defined, no-any-return]


@dataclass(frozen=True)
class GraphQLTasks(_Shorthands):
    client: GraphClient
    user: SignedIn

    async def find(self, **wanted: Any) -> list[Task]:
        variables: dict[str, Any] = {"first": wanted.pop("limit", None)}
        if order := wanted.pop("order", None):
            direction = "DESC" if order in _BEST_FIRST else "ASC"
            variables["orderBy"] = [{"field": order.upper(), "direction": direction}]
        if "priority" in wanted:
            wanted["priority"] = [wanted["priority"]]
        due = {"gte": wanted.pop("due_after", None), "lt": wanted.pop("due_before", None)}
        variables["filter"] = wanted | ({"dueAt": due} if any(due.values()) else {})
        found = await execute(self.client, self.user, _LIST, variables)
        return [normal(task) for task in found["tasks"]["nodes"]]

    async def get(self, task_id: str) -> Task:
        found = (await execute(self.client, self.user, _GET, {"id": task_id}))["task"]
        if found is None:
            raise RefusedError("NOT_FOUND", "There is no such task.")
        return normal(found)

    async def add(self, **given: Any) -> Task:
        return normal((await mutate(self.client, self.user, "createTask", _TASK, **given))["task"])

    async def update(self, task_id: str, **changes: Any) -> Task:
        return normal((await mutate(self.client, self.user, "updateTask", _TASK, id=task_id, **changes))["task"])

    async def toggle(self, task_id: str) -> Task:
        return normal((await mutate(self.client, self.user, "toggleTask", _TASK, id=task_id))["task"])

    async def delete(self, task_id: str) -> Any:
        return (await mutate(self.client, self.user, "deleteTask", id=task_id))["deletedIds"]


@dataclass(frozen=True)
class RestTasks(_Shorthands):
    client: RestClient

    async def find(self, **wanted: Any) -> list[Task]:
        if (order := wanted.get("order")) in _BEST_FIRST:
            wanted["order"] = f"-{order}"
        if isinstance(done := wanted.get("completed"), bool):
            wanted["completed"] = str(done).lower()
        return [normal(task) for task in (await send(self.client, "GET", "/tasks", **wanted))["items"]]

    async def get(self, task_id: str) -> Task:
        return normal(await send(self.client, "GET", f"/tasks/{quote(task_id)}"))

    async def add(self, **given: Any) -> Task:
        return normal(await send(self.client, "POST", "/tasks", given))

    async def update(self, task_id: str, **changes: Any) -> Task:
        return normal(await send(self.client, "PATCH", f"/tasks/{quote(task_id)}", changes))

    async def toggle(self, task_id: str) -> Task:
        return normal(await send(self.client, "POST", f"/tasks/{quote(task_id)}/toggle"))

    async def delete(self, task_id: str) -> Any:
        return (await send(self.client, "DELETE", f"/tasks/{quote(task_id)}"))["deleted_ids"]


@dataclass(frozen=True)
class McpTasks:
    """The tasks over MCP, by the official client; no tool reads one task by its id, or toggles one."""

    client: Client

    async def find(self, **wanted: Any) -> list[Task]:
        if order := wanted.get("order"):
            wanted["order"] = order.upper()
        return [normal(task) for task in (await self._call("list_tasks", **wanted))["tasks"]]

    async def search(self, words: str, **wanted: Any) -> list[Task]:
        return [normal(task) for task in (await self._call("search", query=words, **wanted))["tasks"]]

    async def add(self, **given: Any) -> Task:
        return normal((await self._call("add_task", **given))["task"])

    async def update(self, task_id: str, **changes: Any) -> Task:
        return normal((await self._call("update_task", task_id=task_id, **changes))["task"])

    async def complete(self, task_id: str) -> Task:
        return normal((await self._call("complete_task", task_id=task_id))["task"])

    async def reopen(self, task_id: str) -> Task:
        return normal((await self._call("reopen_task", task_id=task_id))["task"])

    async def delete(self, task_id: str) -> Any:
        return (await self._call("delete_task", task_id=task_id))["deleted_ids"]

    async def _call(self, tool: str, **given: Any) -> Any:
        try:
            result = await self.client.call_tool(tool, given)
        except MCPError as error:
            raise RefusedError((error.data or {}).get("code"), error.message) from None
        if result.is_error:
            raise RefusedError(None, text_of(result))
        return result.structured_content


@dataclass(frozen=True, slots=True)
class Served:
    server: RunningServer
    http: httpx2.AsyncClient
    database: Database

    @asynccontextmanager
    async def open(self, user: SignedIn) -> AsyncIterator[dict[str, Any]]:
        """Give each API for a user, by its name."""
        token = (await make_access_token(self.database, user.caller)).text
        async with connected(self.server.url, token) as client:
            yield {
                "graphql": GraphQLTasks(GraphClient(self.http), user),
                "rest": RestTasks(RestClient(self.http, user)),
                "mcp": McpTasks(client),
            }


ALL: Final = ("graphql", "rest", "mcp")
WITHOUT_MCP: Final = ("graphql", "rest")
WITHOUT_REST: Final = ("graphql", "mcp")
