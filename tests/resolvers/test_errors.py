"""Errors that a form can place: every bad value has its path, every conflict its reason."""

from collections.abc import AsyncIterator
from typing import Any, Final

import pytest

from core.errors import MAX_BAD_VALUES, ErrorReason
from core.ids import new_id
from core.settings import GraphQLEngine, Settings
from models import RunStatus
from tests.factories import SignedIn
from tests.graph_client import GraphClient
from tests.histories import Assisted, assisted
from tests.resolvers.user_api import UserApi
from tests.servers import serve_with
from tests.socket_client import signed_in_socket

CREATE: Final = "mutation ($input: CreateTaskInput!) { createTask(input: $input) { task { id } } }"
PARTS: Final = """mutation ($title: String!, $due: DateTime, $tags: [String!]) {
    createTask(input: {title: $title, dueAt: $due, tags: $tags}) { task { id } } }"""
LIST: Final = "query ($first: Int, $where: TaskFilter) { tasks(first: $first, filter: $where) { totalCount } }"
FOLLOW: Final = "subscription ($types: [EntityKind!]) { changes(types: $types) { cursor } }"
# Documents, variables, and the path of each value that is wrong.
BAD_VARIABLES: Final[list[tuple[str, dict[str, Any], list[str]]]] = [
    (
        CREATE,
        {"input": {"dueAt": "tomorrow", "priority": "URGENT", "tags": ["a", 1, None], "nope": 1}},
        ["input.title", "input.priority", "input.dueAt", "input.tags.1", "input.tags.2", "input.nope"],
    ),
    (CREATE, {}, ["input"]),
    (CREATE, {"input": 7}, ["input"]),
    # A variable is placed where the argument that it stands in has it.
    (PARTS, {"due": "x", "tags": [1]}, ["input.title", "input.dueAt", "input.tags.0"]),
    (
        LIST,
        {"first": "20", "where": {"or": [{}, {"dueAt": {"gt": 1}}], "not": {"completed": "no", "parent": 1}}},
        ["first", "filter.or.1.dueAt.gt", "filter.not.completed", "filter.not.parent"],
    ),
]
BAD_LITERALS: Final[list[tuple[str, list[str]]]] = [
    (
        'mutation { createTask(input: {priority: "x", tags: ["a", 1], nope: 1}) { task { id } } }',
        ["input.title", "input.priority", "input.tags.1", "input.nope"],
    ),
    (
        '{ tasks(first: true, filter: {or: [{completed: 1}, {dueAt: {gt: "now"}}]}) { totalCount } }',
        ["first", "filter.or.0.completed", "filter.or.1.dueAt.gt"],
    ),
]
# Mutations, their input, and the path of each value that the services refuse.
BAD_INPUTS: Final[list[tuple[str, dict[str, Any], list[str]]]] = [
    ("signUp", {"email": "ada", "password": "short", "name": " "}, ["email", "password", "name"]),
    ("createTask", {"id": "1", "title": "", "tags": ["a", "", "x" * 51]}, ["id", "title", "tags.1", "tags.2"]),
    (
        "createTasks",
        {"tasks": [{"title": " "}, {"title": "x"}, {"title": "x", "id": "x"}]},
        ["tasks.0.title", "tasks.2.id"],
    ),
    ("updateProfile", {"name": "", "image": "ftp://x"}, ["name", "image"]),
    (
        "createAccessToken",
        {"name": "", "scopes": [], "expiresAt": "2020-01-01T00:00:00Z"},
        ["name", "scopes", "expiresAt"],
    ),
    ("sendMessage", {"content": " ", "timeZone": "Mars"}, ["content", "timeZone"]),
]


@pytest.mark.parametrize("engine", GraphQLEngine)
async def test_each_bad_variable_and_literal_has_its_path(
    settings: Settings, user: SignedIn, engine: GraphQLEngine
) -> None:
    async with serve_with(settings, graphql_engine=engine) as server, server.client() as http:
        client = GraphClient(http)
        for document, variables, paths in BAD_VARIABLES:
            answer = await client.execute(document, variables, as_=user)
            assert (answer.status, set(answer.codes)) == (400, {"BAD_USER_INPUT"})
            assert [".".join(error["extensions"]["path"]) for error in answer.errors] == paths
            assert all(error["message"].startswith("Variable '$") for error in answer.errors)
        for document, paths in BAD_LITERALS:
            answer = await client.execute(document, as_=user)
            assert (answer.status, set(answer.codes)) == (400, {"GRAPHQL_VALIDATION_FAILED"})
            assert [".".join(error["extensions"]["path"]) for error in answer.errors] == paths
        async with signed_in_socket(server, user.token) as socket:
            await socket.subscribe(FOLLOW, {"types": ["TASK", "NOTE"]})
            (error,) = (await socket.receive())["payload"]
            assert error["extensions"] == {"path": ["types", "1"], "code": "BAD_USER_INPUT"}
        tags = {"input": {"title": "x", "tags": [1] * 60}}
        assert len((await client.execute(CREATE, tags, as_=user)).errors) == 50 + 1


async def test_each_bad_value_of_an_input_is_told(api: UserApi) -> None:
    async with api.unchanged():
        for name, given, paths in BAD_INPUTS:
            payload = await api.mutate(name, **given)
            assert {error["code"] for error in payload["errors"]} == {"BAD_USER_INPUT"}
            assert [".".join(error["path"]) for error in payload["errors"]] == [f"input.{path}" for path in paths]
        payload = await api.mutate("createTasks", tasks=[{"title": ""}] * 60)
        assert len(payload["errors"]) == MAX_BAD_VALUES
    task = await api.task()
    async with api.unchanged():
        payload = await api.mutate("updateTask", id=task.id, title=None, description="x" * 10_001, tags=[" "])
        assert [error["path"][1:] for error in payload["errors"]] == [["title"], ["description"], ["tags", "0"]]


async def conflicts(api: UserApi, run: Assisted) -> AsyncIterator[tuple[ErrorReason, str, dict[str, Any]]]:
    """Yield each reason with a mutation, and its input, that is refused by it."""
    task = await api.task()
    yield ErrorReason.STALE_REVISION, "updateTask", {"id": task.id, "expectedRevision": task.revision + 1}
    yield ErrorReason.ID_TAKEN, "createTask", {"id": task.id, "title": "x"}
    await api.ok("createTask", title="x", idempotencyKey="once")
    yield ErrorReason.KEY_REUSED, "createTask", {"title": "y", "idempotencyKey": "once"}
    account = {"email": f"{new_id()}@example.com", "password": "correct horse battery", "name": "Ada"}
    await api.ok("signUp", **account)
    yield ErrorReason.EMAIL_TAKEN, "signUp", account
    waiting = await assisted(api.database, api.user, RunStatus.AWAITING_APPROVAL)
    yield ErrorReason.PENDING_APPROVAL, "sendMessage", {"conversationId": waiting.run.conversation_id, "content": "x"}
    at_work = await assisted(api.database, api.user, RunStatus.RUNNING)
    yield ErrorReason.RUN_ACTIVE, "undoRun", {"id": at_work.run.id}
    yield ErrorReason.RUN_ENDED, "cancelRun", {"id": run.run.id}
    await run.undo()
    yield ErrorReason.NOT_UNDOABLE, "undoRun", {"id": run.run.id}


async def test_each_conflict_has_its_reason(api: UserApi, run: Assisted) -> None:
    seen = set()
    async for reason, name, given in conflicts(api, run):
        (error,) = (await api.mutate(name, **given))["errors"]
        assert (error["code"], error["reason"]) == ("CONFLICT", reason)
        seen.add(reason)
    assert seen == set(ErrorReason)
