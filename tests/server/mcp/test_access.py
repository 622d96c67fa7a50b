"""MCP accepts personal access tokens, until they expire or are revoked."""

import asyncio
from datetime import timedelta
from functools import partial

import httpx2
import pytest

from core.clock import utc_now
from core.database import Database
from core.settings import Settings
from models import AccessScope
from services.accounts.access_tokens import revoke_access_token
from tests.access_tokens import access_token_rows, change_access_token, make_access_token
from tests.factories import SignedIn
from tests.server.mcp.client import message, older_message, post, refusal
from tests.servers import RunningServer, serve_with
from tests.services.rows import all_statements

NOT_VALID = (401, "UNAUTHENTICATED", "The access token is not valid, or no longer; make another by createAccessToken.")
LIST = message("tools/call", name="list_tasks", arguments={})


async def is_served(http: httpx2.AsyncClient, token: str) -> bool:
    """Return whether a token is accepted."""
    response = await post(http, token, LIST)
    if response.status_code != 200:
        assert refusal(response) == NOT_VALID
    return response.status_code == 200


def challenge_of(server: RunningServer, error: str = "") -> str:
    metadata = f"{server.url}/.well-known/oauth-protected-resource/mcp"
    return f'Bearer {error}scope="tasks:read tasks:write", resource_metadata="{metadata}"'


async def test_challenge_names_the_metadata_of_the_resource(http: httpx2.AsyncClient, server: RunningServer) -> None:
    told = "Send a personal access token as `Authorization: Bearer …`."
    for make in (message, older_message):
        response = await post(http, None, make("tools/list"))
        assert refusal(response) == (401, "UNAUTHENTICATED", told)
        assert response.headers["www-authenticate"] == challenge_of(server)
    metadata = (await http.get("/.well-known/oauth-protected-resource/mcp")).json()
    assert metadata == {
        "resource": f"{server.url}/mcp",
        "authorization_servers": [server.url],
        "scopes_supported": ["tasks:read", "tasks:write"],
        "bearer_methods_supported": ["header"],
        "resource_name": "Tasktalk",
    }
    assert (await http.get("/.well-known/oauth-protected-resource")).json() == metadata
    for host in ('evil.example"', "a b", "é", "x" * 256):
        response = await http.get("/.well-known/oauth-protected-resource", headers={b"Host": host.encode()})
        assert response.status_code != 200 or response.json()["resource"] == f"{server.url}/mcp"


async def test_unknown_token_is_refused_with_a_challenge(http: httpx2.AsyncClient, server: RunningServer) -> None:
    for token in ("x", "tt_", "tt_" + "a" * 43, "tt_" + "a" * 42 + "=", "tt_" + "a" * 100_000, "a.b.c"):
        response = await post(http, token, LIST)
        assert refusal(response) == NOT_VALID
        assert response.headers["www-authenticate"] == challenge_of(server, 'error="invalid_token", ')
    for credentials in ("", "Basic dTpw", "Bearer", "tt_x"):
        response = await post(http, None, LIST, {"Authorization": credentials})
        assert refusal(response)[:2] == (401, "UNAUTHENTICATED")


async def test_token_in_the_query_string_is_not_read(
    http: httpx2.AsyncClient, token: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("access_token", "token"):
        response = await http.post(f"/mcp?{name}={token}", json=LIST, headers={"Accept": "application/json"})
        assert response.status_code == 401
    assert token not in capsys.readouterr().out


async def test_token_is_accepted_until_it_expires(http: httpx2.AsyncClient, database: Database, user: SignedIn) -> None:
    issued = await make_access_token(database, user.caller, expires_at=utc_now() + timedelta(hours=1))
    assert await is_served(http, issued.text)
    await change_access_token(database, issued.access_token.id, expires_at=utc_now())
    assert not await is_served(http, issued.text)


async def test_revoked_token_is_refused_at_once_in_every_process(
    http: httpx2.AsyncClient, database: Database, settings: Settings, user: SignedIn, token: str
) -> None:
    issued = await make_access_token(database, user.caller)
    async with serve_with(settings) as elsewhere, elsewhere.client() as another:
        for each in (http, another):
            assert await is_served(each, issued.text)
        await database.write(partial(revoke_access_token, caller=user.caller, token_id=issued.access_token.id))
        for each in (http, another):
            assert not await is_served(each, issued.text)
            assert await is_served(each, token)


async def test_last_use_is_recorded_once_a_minute(
    http: httpx2.AsyncClient, server: RunningServer, database: Database, user: SignedIn
) -> None:
    async def use(statements: int) -> None:
        with all_statements(server.runtime.database) as run:
            assert await is_served(http, issued.text)
        assert len([text for text in run if "access_tokens" in text]) == statements

    issued = await make_access_token(database, user.caller, [AccessScope.TASKS_READ])
    began = utc_now()
    await use(statements=2)
    (row,) = await access_token_rows(database, user.user.id)
    assert began <= row.last_used_at <= utc_now()
    await use(statements=1)
    assert (await access_token_rows(database, user.user.id))[0].last_used_at == row.last_used_at
    await change_access_token(database, row.id, last_used_at=utc_now() - timedelta(seconds=61))
    await use(statements=2)
    assert (await access_token_rows(database, user.user.id))[0].last_used_at >= row.last_used_at


async def test_concurrent_messages_are_all_served(http: httpx2.AsyncClient, token: str) -> None:
    makers = [message, older_message] * 10
    sent = [make("tools/call", name="add_task", arguments={"title": f"t{n}"}) for n, make in enumerate(makers)]
    responses = await asyncio.gather(*(post(http, token, each) for each in sent))
    assert {response.status_code for response in responses} == {200}
    assert len({response.json()["result"]["structuredContent"]["task"]["id"] for response in responses}) == 20
