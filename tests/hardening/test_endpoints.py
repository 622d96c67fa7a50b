"""Endpoints of a server in production: who reads its metrics, where it says that it is, tokens that were made up."""

from typing import Final

import httpx2
import pytest

from core.database import Database
from core.settings import Settings
from models import AccessScope
from services.accounts import access_tokens
from services.accounts.access_tokens import NewAccessToken, create_access_token, find_grant
from services.accounts.audit import NO_CLIENT
from tests.factories import SignedIn
from tests.servers import serve_with

TOKEN: Final = "a token for monitoring"


async def metrics(http: httpx2.AsyncClient, token: str | None) -> int:
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    return (await http.get("/metrics", headers=headers)).status_code


async def test_metrics_need_their_token(settings: Settings) -> None:
    async with serve_with(settings, metrics_token=TOKEN) as server, server.client() as http:
        assert [await metrics(http, token) for token in (None, "x", "another", TOKEN)] == [401, 401, 401, 200]
        response = await http.get("/metrics")
        assert response.json()["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}


@pytest.mark.parametrize(("environment", "status"), [("development", 200), ("production", 404)])
async def test_metrics_without_a_token_are_for_development(settings: Settings, environment: str, status: int) -> None:
    changed = Settings(**settings.model_dump() | {"environment": environment})
    async with serve_with(changed) as server, server.client() as http:
        assert await metrics(http, None) == status


async def test_public_address_is_the_one_that_is_set(settings: Settings) -> None:
    async with serve_with(settings, public_url="https://api.example.com/") as server, server.client() as http:
        told = await http.get("/.well-known/oauth-protected-resource", headers={"host": "evil.example"})
        assert told.json()["resource"] == "https://api.example.com/mcp"


async def test_token_with_a_wrong_checksum_costs_no_query(
    database: Database, user: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    created = await database.write(
        lambda session: create_access_token(
            session, user.caller, NewAccessToken("script", [AccessScope.TASKS_READ]), NO_CLIENT
        )
    )
    async with database.read() as session:
        assert await find_grant(session, created.text) is not None
        monkeypatch.setattr(access_tokens, "execute", None)
        mistyped = created.text[:10] + ("b" if created.text[10] == "a" else "a") + created.text[11:]
        assert await find_grant(session, mistyped) is None
