"""Sends operations over HTTP and leaves to a test just the query and what it expects."""

import json
from dataclasses import dataclass
from typing import Any, Final

import httpx2
from graphql import GraphQLField, GraphQLObjectType, get_named_type, is_leaf_type

from server.graphql.schema import core_schema, schema
from tests.factories import SignedIn

_MUTATIONS: Final = core_schema(schema).mutation_type
# What other fields have as well, and the errors.
_READ_AGAIN: Final = {"errors", "viewer", "taskEdge", "conversationEdge"}
_ERRORS: Final = "errors { code message path reason retryAt }"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    data: Any
    errors: list[dict[str, Any]]

    @property
    def codes(self) -> list[str]:
        return [error["extensions"]["code"] for error in self.errors]

    def require(self) -> Any:
        assert not self.errors, self.errors
        return self.data


class GraphClient:
    """Sends operations to the server, anonymously or as a user."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self._http = http

    async def execute(
        self, query: str, variables: dict[str, Any] | None = None, *, as_: SignedIn | str | None = None
    ) -> Answer:
        """Send an operation as a user, or with a token."""
        token = as_.token if isinstance(as_, SignedIn) else as_
        headers = {"Content-Type": "application/json", "Accept": "application/graphql-response+json"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        body = json.dumps({"query": query, "variables": variables})
        response = await self._http.post("/graphql", content=body, headers=headers)
        answer = response.json()
        return Answer(response.status_code, answer.get("data"), answer.get("errors", []))

    async def query(
        self, query: str, variables: dict[str, Any] | None = None, *, as_: SignedIn | str | None = None
    ) -> Any:
        return (await self.execute(query, variables, as_=as_)).require()

    async def mutate(
        self, name: str, given: dict[str, Any] | None = None, *, as_: SignedIn | str | None = None
    ) -> dict[str, Any]:
        """Return the payload of a mutation with everything of it that has no arguments."""
        answer = await self.execute(mutation(name), None if given is None else {"input": given}, as_=as_)
        payload: dict[str, Any] = answer.require()[name]
        return payload


def refusal(payload: dict[str, Any]) -> tuple[str, str | None, str]:
    """Return the code, the path joined by dots, and the message of a payload that holds one error and nothing else."""
    (error,) = payload["errors"]
    rest = {name: value for name, value in payload.items() if name != "errors"}
    assert not any(rest.values()), rest
    path = error["path"]
    return error["code"], None if path is None else ".".join(path), error["message"]


def mutation(name: str, of_entity: str | None = None) -> str:
    """Return the document of a mutation that takes its input from the variable of that name.

    Of what it made or changed it selects the fields that are named, or else all that have no arguments.
    """
    assert _MUTATIONS is not None
    field = _MUTATIONS.fields[name]
    if (argument := field.args.get("input")) is None:
        return f"mutation {{ {name} {{ {_payload(field, of_entity)} }} }}"
    return f"mutation ($input: {argument.type}) {{ {name}(input: $input) {{ {_payload(field, of_entity)} }} }}"


def _payload(field: GraphQLField, of_entity: str | None) -> str:
    payload = get_named_type(field.type)
    assert isinstance(payload, GraphQLObjectType)
    names = [name for name in payload.fields if name not in _READ_AGAIN]
    parts = [_selection(name, payload.fields[name], of_entity) for name in names]
    return " ".join([*parts, _ERRORS])


def _selection(name: str, field: GraphQLField, of_entity: str | None) -> str:
    entity = get_named_type(field.type)
    if not isinstance(entity, GraphQLObjectType):
        return name
    leaves = [key for key, part in entity.fields.items() if is_leaf_type(get_named_type(part.type))]
    # Only entities are nodes.
    selected = of_entity if entity.interfaces else None
    return f"{name} {{ {selected or ' '.join(leaves)} }}"
