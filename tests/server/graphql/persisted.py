"""How tests name documents: by the hash of their text, in Apollo's way."""

import hashlib
import json
from typing import Any

import httpx2

from tests.server.asking import GRAPHQL_RESPONSE


def hash_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def persisted(text: str, **changes: Any) -> dict[str, Any]:
    """Return the extensions that name a document, with what a test sends otherwise."""
    return {"persistedQuery": {"version": 1, "sha256Hash": hash_of(text)} | changes}


async def ask(api: httpx2.AsyncClient, accept: str = GRAPHQL_RESPONSE, **parameters: Any) -> httpx2.Response:
    return await api.post("/graphql", json=parameters, headers={"Accept": accept})


async def ask_by_get(api: httpx2.AsyncClient, accept: str = GRAPHQL_RESPONSE, **parameters: Any) -> httpx2.Response:
    sent = {name: value if isinstance(value, str) else json.dumps(value) for name, value in parameters.items()}
    return await api.get("/graphql", params=sent, headers={"Accept": accept})
