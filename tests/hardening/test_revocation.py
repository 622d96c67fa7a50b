"""Revocation: a session that ends in one process is refused by the others as soon as they are told."""

from typing import Final

import pytest

from core.settings import Settings
from services.accounts import session_cache
from tests.databases import only_postgresql
from tests.factories import SignedIn
from tests.graph_client import GraphClient
from tests.servers import serve_with
from tests.socket_client import signed_in_socket
from tests.waiting import until

VIEWER: Final = "{ viewer { id } }"
SIGN_OUT: Final = "mutation { signOut { errors { code } } }"


@only_postgresql
async def test_session_that_has_ended_elsewhere_is_refused_without_waiting_for_the_cache(
    settings: Settings, user: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Only a signal can tell, for nothing else is looked up again.
    monkeypatch.setattr(session_cache, "TTL_S", 3600)
    monkeypatch.setattr("server.http.connections.CHECK_EVERY_S", 3600)
    async with (
        serve_with(settings) as here,
        serve_with(settings) as there,
        here.client() as http,
        there.client() as other,
        signed_in_socket(there, user.token) as socket,
    ):
        await until(lambda: here.runtime.live.is_told and there.runtime.live.is_told)
        client, elsewhere = GraphClient(http), GraphClient(other)
        assert (await elsewhere.query(VIEWER, as_=user))["viewer"] == {"id": user.user.id}
        await client.query(SIGN_OUT, as_=user)
        assert (await socket.closing())[0] == 4403
        response = await other.post("/graphql", json={"query": VIEWER}, headers=user.headers)
        assert response.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
