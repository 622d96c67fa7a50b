"""Helpers that post operations and read refusals."""

from typing import Any, Final

import httpx2

GRAPHQL_RESPONSE: Final = "application/graphql-response+json"
JSON: Final = "application/json"


async def post(
    api: httpx2.AsyncClient, query: str, accept: str = GRAPHQL_RESPONSE, **parameters: Any
) -> httpx2.Response:
    return await api.post("/graphql", json={"query": query, **parameters}, headers={"Accept": accept})


def only_error(response: httpx2.Response) -> dict[str, Any]:
    errors: list[dict[str, Any]] = response.json()["errors"]
    assert len(errors) == 1
    return errors[0]


def only_code(response: httpx2.Response) -> str:
    code: str = only_error(response)["extensions"]["code"]
    return code
