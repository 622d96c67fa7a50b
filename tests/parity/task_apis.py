"""Adapters that give GraphQL, REST and MCP one interface to tasks, and one error."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

import httpx2
from mcp import Client, MCPError

from core.database import Database
from tests.access_tokens import make_access_token
from tests.factories import SignedIn
from tests.graph_client import GraphClient
from tests.server.mcp.client import connected, text_of
from tests.server.rest.client import RestClient
from tests.servers import RunningServer

Task = dict[str, Any]


@dataclass
class RefusedError(Exception):
    """A refusal by an API; a tool's result has a message alone, no code."""

    code: str | None
    message: str


class TaskAPI(ABC):
    """The tasks of one user over one API."""

    @abstractmethod
    async def find(self, **wanted: Any) -> list[Task]:
        """Return a list."""

    @abstractmethod
    async def get(self, task_id: str) -> Task:
        """Return a task by its id."""

    @abstractmethod
    async def add(self, **given: Any) -> Task:
        """Create a task."""

    @abstractmethod
    async def update(self, task_id: str, **changes: Any) -> Task:
        """Update a task."""

    @abstractmethod
    async def toggle(self, task_id: str) -> Task:
        """Toggle a task."""

    @abstractmethod
    async def delete(self, task_id: str) -> list[str]:
        """Delete a task, and return the ids of all that is gone."""

    async def search(self, words: str, **wanted: Any) -> list[Task]:
        return await self.find(search=words, **wanted)

    async def complete(self, task_id: str) -> Task:
        return await self.update(task_id, completed=True)

    async def reopen(self, task_id: str) -> Task:
        return await self.update(task_id, completed=False)


def normal(task: Mapping[str, Any]) -> Task:
    """Return a task in the one form that is compared."""
    due_at = task.get("dueAt", task.get("due_at"))
    parent = task["parent"] and task["parent"]["id"] if "parent" in task else task.get("parent_id")
    return {
        **{name: task[name] for name in ("id", "title", "completed", "priority", "tags")},
        "description": task.get("description"),
        "due_at": due_at and datetime.fromisoformat(due_at).astimezone(UTC).isoformat(),
        "parent_id": parent,
    }


def camel_case(names: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments by the names that GraphQL has for them."""
    words = {name: name.split("_") for name in names}
    return {first + "".join(map(str.capitalize, rest)): names[name] for name, (first, *rest) in words.items()}


_TASK: Final = "id title description completed priority dueAt tags parent { id }"
_ERRORS: Final = "errors { code message }"
_LIST: Final = f"""query ($first: Int, $filter: TaskFilter, $orderBy: [TaskOrder!]) {{
    tasks(first: $first, filter: $filter, orderBy: $orderBy) {{ nodes {{ {_TASK} }} }}
}}"""
_BEST_FIRST: Final = {"priority"}


async def execute(client: GraphClient, user: SignedIn, document: str, variables: Mapping[str, Any]) -> Any:
    """Return the data of a GraphQL operation."""
    answer = await client.execute(document, dict(variables), as_=user)
    for error in answer.errors:
        raise RefusedError(error["extensions"]["code"], error["message"])
    return answer.data


async def mutate(
    client: GraphClient, user: SignedIn, name: str, document: str, given: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the payload of a GraphQL mutation of an input."""
    payload: dict[str, Any] = (await execute(client, user, document, {"input": given}))[name]
    for error in payload["errors"]:
        raise RefusedError(error["code"], error["message"])
    return payload


async def send(client: RestClient, method: str, path: str, body: Any = None, **more: Any) -> Any:
    """Return what REST answers."""
    response = await client.send(method, path, body, **more)
    told = response.json()
    if not response.is_success:
        raise RefusedError(told["code"], told["detail"])
    return told


@dataclass(frozen=True, slots=True)
class GraphQLTasks(TaskAPI):
    """The tasks over GraphQL."""

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
        query = f"query ($id: ID!) {{ task(id: $id) {{ {_TASK} }} }}"
        found = await execute(self.client, self.user, query, {"id": task_id})
        if found["task"] is None:
            raise RefusedError("NOT_FOUND", "There is no such task.")
        return normal(found["task"])

    async def add(self, **given: Any) -> Task:
        return await self._mutate("createTask", "CreateTaskInput", given)

    async def update(self, task_id: str, **changes: Any) -> Task:
        return await self._mutate("updateTask", "UpdateTaskInput", {"id": task_id, **changes})

    async def toggle(self, task_id: str) -> Task:
        return await self._mutate("toggleTask", "TaskRefInput", {"id": task_id})

    async def delete(self, task_id: str) -> list[str]:
        document = f"mutation ($input: TaskRefInput!) {{ deleteTask(input: $input) {{ deletedIds {_ERRORS} }} }}"
        payload = await self._payload("deleteTask", document, {"id": task_id})
        gone: list[str] = payload["deletedIds"]
        return gone

    async def _mutate(self, name: str, of: str, given: Mapping[str, Any]) -> Task:
        document = f"mutation ($input: {of}!) {{ {name}(input: $input) {{ task {{ {_TASK} }} {_ERRORS} }} }}"
        return normal((await self._payload(name, document, camel_case(given)))["task"])

    async def _payload(self, name: str, document: str, given: Mapping[str, Any]) -> dict[str, Any]:
        return await mutate(self.client, self.user, name, document, given)


@dataclass(frozen=True, slots=True)
class RestTasks(TaskAPI):
    """The tasks over REST."""

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

    async def delete(self, task_id: str) -> list[str]:
        gone: list[str] = (await send(self.client, "DELETE", f"/tasks/{quote(task_id)}"))["deleted_ids"]
        return gone


@dataclass(frozen=True, slots=True)
class McpTasks(TaskAPI):
    """The tasks over MCP, by the official client."""

    client: Client

    async def find(self, **wanted: Any) -> list[Task]:
        if order := wanted.get("order"):
            wanted["order"] = order.upper()
        return [normal(task) for task in (await self._call("list_tasks", **wanted))["tasks"]]

    async def search(self, words: str, **wanted: Any) -> list[Task]:
        return [normal(task) for task in (await self._call("search", query=words, **wanted))["tasks"]]

    async def get(self, task_id: str) -> Task:
        raise NotImplementedError(task_id)

    async def add(self, **given: Any) -> Task:
        return normal((await self._call("add_task", **given))["task"])

    async def update(self, task_id: str, **changes: Any) -> Task:
        return normal((await self._call("update_task", task_id=task_id, **changes))["task"])

    async def complete(self, task_id: str) -> Task:
        return normal((await self._call("complete_task", task_id=task_id))["task"])

    async def reopen(self, task_id: str) -> Task:
        return normal((await self._call("reopen_task", task_id=task_id))["task"])

    async def toggle(self, task_id: str) -> Task:
        raise NotImplementedError(task_id)

    async def delete(self, task_id: str) -> list[str]:
        gone: list[str] = (await self._call("delete_task", task_id=task_id))["deleted_ids"]
        return gone

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
    """The server, and the database behind it."""

    server: RunningServer
    http: httpx2.AsyncClient
    database: Database

    @asynccontextmanager
    async def open(self, name: str, user: SignedIn) -> AsyncIterator[TaskAPI]:
        """Give one API for a user."""
        if name == "graphql":
            yield GraphQLTasks(GraphClient(self.http), user)
        elif name == "rest":
            yield RestTasks(RestClient(self.http, user))
        else:
            token = (await make_access_token(self.database, user.caller)).text
            async with connected(self.server.url, token) as client:
                yield McpTasks(client)


ALL: Final = ("graphql", "rest", "mcp")
# No tool reads one task by its id, or toggles one.
WITHOUT_MCP: Final = ("graphql", "rest")
