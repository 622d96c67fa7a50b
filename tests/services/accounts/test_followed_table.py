"""Users who follow Better Auth's table in the same PostgreSQL database: a foreign key, and one name and address."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
import httpx2
import pytest
from sqlalchemy import func, select
from sqlmodel import SQLModel

from core.database import Database
from core.errors import AccountGoneError
from core.ids import new_id
from core.settings import Settings, SettingsError
from migrations.followed_table import follow, is_as_set
from server.cli import main
from services.accounts.authentication import Authenticator
from services.query.sql import execute
from tests.better_auth import better_auth_server, ed25519_key
from tests.databases import Databases, PostgresDatabases, make_settings, only_postgresql, opened, run_sql
from tests.factories import make_task, make_user
from tests.graph_client import GraphClient
from tests.live.processes import program
from tests.npm import NODE, NODE_PROGRAMS, install_node_programs, needs_node
from tests.ports import free_port
from tests.servers import serve_with
from tests.services.rows import all_statements, change_user, read_user
from tests.waiting import START_PATIENCE_S

pytestmark = only_postgresql

KEY: Final = ed25519_key()
TABLE: Final = '"auth"."people"'


@dataclass
class Installation:
    """A table of an issuer's users in our database, and what authenticates them."""

    database: Database
    settings: Settings
    authenticator: Authenticator

    async def run(self, statement: str, **values: Any) -> Any:
        return await self.database.write(lambda session: run_sql(session, statement, **values))

    async def sign_up(self, **values: Any) -> dict[str, Any]:
        """Store a person in their table; return the claims of a token."""
        user_id, now = new_id(), int(time.time())
        row = {"id": user_id, "name": "Ada", "email": f"{user_id}@example.com", "email_verified": True} | values
        names, binds = ", ".join(row), ", ".join(f":{name}" for name in row)
        await self.run(f"INSERT INTO auth.people ({names}) VALUES ({binds})", **row)  # noqa: S608
        issuer = self.settings.better_auth_url
        times = {"iat": now, "exp": now + 900, "iss": issuer, "aud": issuer}
        return row | {"sub": user_id} | times

    async def authenticate(self, claims: dict[str, Any]) -> str:
        """Return the id of the account; nothing is cached afterwards."""
        caller = await self.authenticator.authenticate(KEY.token(claims))
        self.authenticator.drop(caller.user_id)
        return caller.user_id

    async def is_valid(self) -> Any:
        return await self.run("SELECT convalidated FROM pg_constraint WHERE conname = 'fk_users_better_auth_id'")


@pytest.fixture
async def installation(fresh_settings: Settings) -> AsyncIterator[Installation]:
    async with better_auth_server() as server, opened(fresh_settings) as database:
        server.publish(KEY)
        settings = fresh_settings.model_copy(update={"better_auth_url": server.url, "better_auth_table": TABLE})
        authenticator = Authenticator(database, settings)
        made = Installation(database, settings, authenticator)
        await made.run("CREATE SCHEMA auth")
        # As Drizzle names the columns.
        columns = "id text PRIMARY KEY, name text, email text, image text, email_verified boolean"
        await made.run(f"CREATE TABLE auth.people ({columns})")
        yield made
        await authenticator.close()


async def test_key_is_made_once_and_removed_when_it_is_not_set(installation: Installation) -> None:
    engine, settings = installation.database.engine, installation.settings
    unset = settings.model_copy(update={"better_auth_table": None})
    moved = settings.model_copy(update={"auth_issuer": "https://moved.example.com"})
    assert await follow(unset) is None
    assert not await is_as_set(engine, settings)
    for given, said in (
        (settings, f"Users follow {TABLE} by a foreign key, which is made."),
        (settings, f"Users follow {TABLE} by a foreign key, as before."),
        (moved, f"Users follow {TABLE} by a foreign key, which is made."),
        (unset, "Users follow no other table any more: the foreign key is removed."),
        (unset, None),
    ):
        assert await follow(given) == said
        assert await is_as_set(engine, given)
        assert await installation.is_valid() == (True if given.better_auth_table else None)
    await installation.run("DROP TABLE auth.people")
    with pytest.raises(SettingsError, match=f"there is no table {TABLE} with an id"):
        await follow(settings)


async def test_profile_is_read_from_the_table_and_deletion_there_deletes_here(installation: Installation) -> None:
    await follow(installation.settings)
    database = installation.database
    claims = await installation.sign_up(image="https://example.com/a.png")
    local = await make_user(database, password_hash="a hash")
    elsewhere = await make_user(database, issuer="https://other.example.com")
    assert await installation.authenticate(claims) == claims["sub"]
    await installation.run("UPDATE auth.people SET name = 'Grace', email = 'Grace@example.com', email_verified = false")
    with all_statements(database) as statements:
        # The token is as it was.
        await installation.authenticate(claims | {"name": "Mallory"})
        updating = len(statements)
        await installation.authenticate(claims)
    assert len(statements) - updating == 1
    row = await read_user(database, claims["sub"])
    assert (row.name, row.email, row.image) == ("Grace", "grace@example.com", "https://example.com/a.png")
    assert (row.email_verified, row.revision, row.profile_revision) == (False, 1, 1)
    caller = await installation.authenticator.authenticate(KEY.token(claims))
    await make_task(database, caller)
    installation.authenticator.drop(caller.user_id)
    await installation.run("DELETE FROM auth.people")
    for table in SQLModel.metadata.sorted_tables:
        if "user_id" in table.c:
            async with database.read() as session:
                assert (await execute(session, select(func.count()).select_from(table))).scalar() == 0, table.name
    for gone in (claims, claims | {"sub": new_id()}):
        with pytest.raises(AccountGoneError):
            await installation.authenticate(gone)
    async with database.read() as session:
        ids = await run_sql(session, "SELECT array_agg(id ORDER BY id) FROM users")
    assert ids == sorted([local.id, elsewhere.id])


async def test_linked_account_follows_the_table_too(installation: Installation) -> None:
    await follow(installation.settings)
    database = installation.database
    local = await make_user(database, password_hash="a hash", email_verified=True, name="Ada of old")
    claims = await installation.sign_up(email=local.email)
    assert await installation.authenticate(claims) == local.id
    assert (await read_user(database, local.id)).name == "Ada"
    await installation.run("DELETE FROM auth.people")
    assert await read_user(database, local.id) is None


async def test_users_who_are_not_in_the_table_are_counted_and_kept(installation: Installation) -> None:
    database, issuer = installation.database, installation.settings.better_auth_url
    claims = await installation.sign_up()
    await make_user(database, id=claims["sub"], issuer=issuer)
    stray = await make_user(database, issuer=issuer)
    said = await follow(installation.settings)
    assert said is not None
    assert "1 of them are not in that table and cannot sign in" in said
    assert await installation.is_valid() is False
    with pytest.raises(AccountGoneError):
        await installation.authenticate(claims | {"sub": stray.id})
    await installation.authenticate(claims)
    await installation.run("DELETE FROM auth.people")
    assert await read_user(database, claims["sub"]) is None
    assert await read_user(database, stray.id) is not None
    await change_user(database, stray.id, issuer=None)
    assert await follow(installation.settings) == f"Users follow {TABLE} by a foreign key, as before."
    assert await installation.is_valid() is True


@asynccontextmanager
async def better_auth(database_url: str) -> AsyncIterator[httpx2.AsyncClient]:
    """Run a Better Auth server on the database; give a client of it that keeps its cookies."""
    port = free_port()
    given = {"database": database_url, "port": port, "ids": "uuid"}
    async with program(str(NODE), "better_auth.mjs", json.dumps(given), cwd=NODE_PROGRAMS) as process:
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), START_PATIENCE_S) == b"ready\n"
        url = f"http://127.0.0.1:{port}"
        async with httpx2.AsyncClient(base_url=f"{url}/api/auth", headers={"origin": url}) as client:
            yield client


async def asked(client: httpx2.AsyncClient, path: str, **body: Any) -> Any:
    response = await (client.post(path, json=body) if body else client.get(path))
    assert response.is_success, response.text
    return response.json()


@needs_node
async def test_people_of_a_real_better_auth_server_are_users_here(
    databases: Databases, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    await install_node_programs()
    assert isinstance(databases, PostgresDatabases)
    name, role = new_id(), f"role_{new_id().replace('-', '_')}"
    await databases.run(f'CREATE DATABASE "{name}"')
    theirs = databases.url(name)
    async with better_auth(theirs) as client:
        # Ours is a role that may not write their table.
        admin = await asyncpg.connect(theirs)
        await admin.execute(
            f'CREATE ROLE {role} LOGIN; GRANT ALL ON SCHEMA public TO {role}; ALTER DATABASE "{name}"'
            f' OWNER TO {role}; GRANT SELECT, REFERENCES ON public."user" TO {role}'
        )
        given = {"better_auth_url": str(client.base_url).partition("/api")[0], "better_auth_table": 'public."user"'}
        settings = make_settings(theirs.replace("postgres:@", f"{role}:@"), **given)
        for variable, value in (given | {"database_url": settings.database_url}).items():
            monkeypatch.setenv(variable.upper(), value)
        monkeypatch.setenv("SECRET_KEY", settings.secret_key)
        assert await asyncio.to_thread(main, ["migrate"]) == 0
        assert 'Users follow "public"."user" by a foreign key, which is made.' in capsys.readouterr().out
        monkeypatch.setattr("services.accounts.session_cache.TTL_S", 0.0)
        await asked(client, "/sign-up/email", email="ada@example.com", password="correct horse", name="Ada")
        token = (await asked(client, "/token"))["token"]
        async with serve_with(settings) as server, server.client() as http:
            api = GraphClient(http)
            viewer = "{ viewer { name email tasks(first: 1) { nodes { title } } } }"
            await api.mutate("createTask", {"title": "Buy milk"}, as_=token)
            await asked(client, "/update-user", name="Grace")
            seen = {"name": "Grace", "email": "ada@example.com", "tasks": {"nodes": [{"title": "Buy milk"}]}}
            assert await api.query(viewer, as_=token) == {"viewer": seen}
            refused = await api.mutate("signUp", {"email": "b@c.de", "password": "correct horse", "name": "B"})
            assert [error["code"] for error in refused["errors"]] == ["FORBIDDEN"]
            await asked(client, "/delete-user", password="correct horse")
            assert (await api.execute(viewer, as_=token)).codes == ["UNAUTHENTICATED"]
        assert await admin.fetchval("SELECT (SELECT count(*) FROM users) + (SELECT count(*) FROM tasks)") == 0
        await admin.close()
