"""Helpers that send operations, by their text or their hash, and read refusals."""

import json
from hashlib import sha256
from typing import Any, Final

from httpx2 import AsyncClient, Response

GRAPHQL_RESPONSE: Final = "application/graphql-response+json"
JSON: Final = "application/json"


async def ask(api: AsyncClient, accept: str = GRAPHQL_RESPONSE, **parameters: Any) -> Response:
    return await api.post("/graphql", json=parameters, headers={"Accept": accept})


async def ask_by_get(api: AsyncClient, accept: str = GRAPHQL_RESPONSE, **parameters: Any) -> Response:
    sent = {name: value if isinstance(value, str) else json.dumps(value) for name, value in parameters.items()}
    return await api.get("/graphql", params=sent, headers={"Accept": accept})


def hash_of(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def persisted(text: str, **changes: Any) -> dict[str, Any]:
    """Return the extensions that name a document by its hash, with what a test sends otherwise."""
    return {"persistedQuery": {"version": 1, "sha256Hash": hash_of(text)} | changes}


def only_error(response: Response) -> dict[str, Any]:
    errors: list[dict[str, Any]] = response.json()["errors"]
    assert len(errors) == 1
    return errors[0]


def only_code(response: Response) -> str:
    code: str = only_error(response)["extensions"]["code"]
    return code
