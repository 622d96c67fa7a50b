"""The doors with one face: what a person does with tasks, and what they are told where it cannot be done."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol
from urllib.parse import quote

import httpx2
from mcp import Client, MCPError

from core.database import Database
from tests.access_tokens import make_access_token
from tests.factories import SignedIn
from tests.graph_client import GraphClient
from tests.server.mcp.asking import connected, text_of
from tests.server.rest.client import RestClient
from tests.servers import RunningServer

Task = dict[str, Any]


@dataclass
class RefusedError(Exception):
    """What a door said in place of doing it; a tool's result has words alone, no code."""

    code: str | None
    message: str


class Door(Protocol):
    """Whatever opens the tasks of one user."""

    async def find(self, **wanted: Any) -> list[Task]: ...
    async def search(self, words: str, **wanted: Any) -> list[Task]: ...
    async def get(self, task_id: str) -> Task: ...
    async def add(self, **given: Any) -> Task: ...
    async def update(self, task_id: str, **changes: Any) -> Task: ...
    async def complete(self, task_id: str) -> Task: ...
    async def reopen(self, task_id: str) -> Task: ...
    async def toggle(self, task_id: str) -> Task: ...
    async def delete(self, task_id: str) -> list[str]: ...


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


@dataclass(frozen=True, slots=True)
class GraphQLDoor:
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
        found = await self._execute(_LIST, variables)
        return [normal(task) for task in found["tasks"]["nodes"]]

    async def search(self, words: str, **wanted: Any) -> list[Task]:
        return await self.find(search=words, **wanted)

    async def get(self, task_id: str) -> Task:
        found = await self._execute(f"query ($id: ID!) {{ task(id: $id) {{ {_TASK} }} }}", {"id": task_id})
        if found["task"] is None:
            raise RefusedError("NOT_FOUND", "There is no such task.")
        return normal(found["task"])

    async def add(self, **given: Any) -> Task:
        return await self._mutate("createTask", "CreateTaskInput", given)

    async def update(self, task_id: str, **changes: Any) -> Task:
        return await self._mutate("updateTask", "UpdateTaskInput", {"id": task_id, **changes})

    async def complete(self, task_id: str) -> Task:
        return await self.update(task_id, completed=True)

    async def reopen(self, task_id: str) -> Task:
        return await self.update(task_id, completed=False)

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
        payload: dict[str, Any] = (await self._execute(document, {"input": given}))[name]
        for error in payload["errors"]:
            raise RefusedError(error["code"], error["message"])
        return payload

    async def _execute(self, document: str, variables: dict[str, Any]) -> Any:
        answer = await self.client.execute(document, variables, as_=self.user)
        for error in answer.errors:
            raise RefusedError(error["extensions"]["code"], error["message"])
        return answer.data


@dataclass(frozen=True, slots=True)
class RestDoor:
    """The tasks over REST."""

    client: RestClient

    async def find(self, **wanted: Any) -> list[Task]:
        if (order := wanted.get("order")) in _BEST_FIRST:
            wanted["order"] = f"-{order}"
        if isinstance(done := wanted.get("completed"), bool):
            wanted["completed"] = str(done).lower()
        return [normal(task) for task in (await self._send("GET", "/tasks", **wanted))["items"]]

    async def search(self, words: str, **wanted: Any) -> list[Task]:
        return await self.find(search=words, **wanted)

    async def get(self, task_id: str) -> Task:
        return normal(await self._send("GET", f"/tasks/{quote(task_id)}"))

    async def add(self, **given: Any) -> Task:
        return normal(await self._send("POST", "/tasks", given))

    async def update(self, task_id: str, **changes: Any) -> Task:
        return normal(await self._send("PATCH", f"/tasks/{quote(task_id)}", changes))

    async def complete(self, task_id: str) -> Task:
        return await self.update(task_id, completed=True)

    async def reopen(self, task_id: str) -> Task:
        return await self.update(task_id, completed=False)

    async def toggle(self, task_id: str) -> Task:
        return normal(await self._send("POST", f"/tasks/{quote(task_id)}/toggle"))

    async def delete(self, task_id: str) -> list[str]:
        gone: list[str] = (await self._send("DELETE", f"/tasks/{quote(task_id)}"))["deleted_ids"]
        return gone

    async def _send(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        response = await self.client.send(method, path, body, **query)
        told = response.json()
        if not response.is_success:
            raise RefusedError(told["code"], told["detail"])
        return told


@dataclass(frozen=True, slots=True)
class McpDoor:
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
class House:
    """The server with its doors, and the database behind them."""

    server: RunningServer
    http: httpx2.AsyncClient
    database: Database

    @asynccontextmanager
    async def door(self, name: str, user: SignedIn) -> AsyncIterator[Door]:
        """Open a door for a user."""
        async with _OPENED[name](self, user) as opened:
            yield opened


@asynccontextmanager
async def _graphql(house: House, user: SignedIn) -> AsyncIterator[Door]:
    yield GraphQLDoor(GraphClient(house.http), user)


@asynccontextmanager
async def _rest(house: House, user: SignedIn) -> AsyncIterator[Door]:
    yield RestDoor(RestClient(house.http, user))


@asynccontextmanager
async def _mcp(house: House, user: SignedIn) -> AsyncIterator[Door]:
    token = (await make_access_token(house.database, user.caller)).text
    async with connected(house.server.url, token) as client:
        yield McpDoor(client)


_OPENED: Final[dict[str, Callable[[House, SignedIn], AbstractAsyncContextManager[Door]]]] = {
    "graphql": _graphql,
    "rest": _rest,
    "mcp": _mcp,
}
ALL: Final = tuple(_OPENED)
# What has no tool: reading one task by its id, and turning one over whatever it is.
NOT_MCP: Final = ("graphql", "rest")
