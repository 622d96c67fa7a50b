"""Errors that a form can place: every bad value has its path, every conflict its reason."""

import inspect
from typing import Any, Final

import pytest

from core.errors import ConflictError, ErrorReason
from core.settings import GraphQLEngine, Settings
from tests.factories import SignedIn
from tests.graph_client import GraphClient
from tests.resolvers.user_api import UserApi
from tests.servers import serve_with

CREATE: Final = "mutation ($input: CreateTaskInput!) { createTask(input: $input) { task { id } } }"
PARTS: Final = """mutation ($title: String!, $due: DateTime, $tags: [String!]) {
    createTask(input: {title: $title, dueAt: $due, tags: $tags}) { task { id } } }"""
LIST: Final = "query ($first: Int, $where: TaskFilter) { tasks(first: $first, filter: $where) { totalCount } }"
FOLLOW: Final = "subscription ($message: ID!, $place: Int) { replyStream(messageId: $message, fromOffset: $place) { text } }"
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
    ("{ tasks(first: true, filter: {or: [{completed: 1}]}) { totalCount } }", ["first", "filter.or.0.completed"]),
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
        tags = {"input": {"title": "x", "tags": [1] * 60}}
        assert len((await client.execute(CREATE, tags, as_=user)).errors) == 50 + 1


def paths_of(payload: dict[str, Any]) -> list[tuple[str, str]]:
    return [(error["code"], ".".join(error["path"])) for error in payload["errors"]]
