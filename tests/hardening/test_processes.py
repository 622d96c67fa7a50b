"""Processes: workers that end and are replaced, and a release that serves on while the next one migrates."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, Final
from zipfile import ZipFile

import asyncpg
import httpx2
import psutil
import pytest
from alembic.command import upgrade

import migrations
from core.settings import Settings
from server.workers import STARTUP_FAILED
from tests.databases import PostgresDatabases, make_settings, only_sqlite
from tests.live.processes import ROOT, ServerProcess, serving, start
from tests.waiting import PATIENCE_S, until, until_so

VERSIONS: Final = "migrations/versions"
# TASKTALK_MIGRATED_TASKS=200000 takes a minute more.
TASKS: Final = int(os.environ.get("TASKTALK_MIGRATED_TASKS", "10000"))
LONGEST_LOCK_S: Final = 2
# Releases before this revision compared requests with their defaults, which a new column changes.
KEYS_COMPARED_AS_SENT: Final = "0004"
SIGN_UP: Final = "mutation ($input: SignUpInput!) { signUp(input: $input) { accessToken errors { message } } }"
CREATE: Final = "mutation ($input: CreateTaskInput!) { createTask(input: $input) { task { id } errors { message } } }"
UPDATE: Final = (
    "mutation ($input: UpdateTaskInput!) { updateTask(input: $input) { task { title } errors { message } } }"
)
# Copies of each row of a table, whatever its columns are.
COPY: Final = """
INSERT INTO {table} SELECT (jsonb_populate_record(t, jsonb_build_object('id', gen_random_uuid()))).*
FROM {table} t, generate_series(1, {count})
"""
WAITS: Final = """
SELECT coalesce(max(extract(epoch FROM clock_timestamp() - waitstart)), 0)::float
FROM pg_locks WHERE NOT granted AND locktype <> 'advisory'
"""


def git(*arguments: str) -> bytes | None:
    command = ["git", *arguments]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    return None if ended.returncode else ended.stdout


def migrations_of(commit: str) -> set[str]:
    listed = git("ls-tree", "--name-only", commit, f"{VERSIONS}/") or b""
    return {Path(line).name for line in listed.decode().splitlines() if Path(line).name[:1].isdigit()}


@dataclass(frozen=True, slots=True)
class Release:
    """An earlier state of the code, and the revision that it expects."""

    root: Path
    revision: str


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Release:
    """Give the last commit that had none but the migrations before the newest."""
    ours = {path.name for path in (ROOT / VERSIONS).glob("[0-9]*.py")}
    touching = (git("rev-list", "--first-parent", "HEAD", "--", VERSIONS) or b"").decode().split()
    for commit in ("HEAD", *(f"{commit}^" for commit in touching)):
        theirs = migrations_of(commit)
        archive = git("archive", "--format=zip", commit) if theirs and theirs < ours else None
        if archive is not None:
            root = tmp_path_factory.mktemp("before")
            ZipFile(BytesIO(archive)).extractall(root)
            return Release(root, max(theirs)[:4])
    pytest.skip("needs the history of a git checkout, with a commit before the newest migration")


@dataclass(slots=True)
class Client:
    """Creates tasks with keys, over new connections, and keeps the answers."""

    token: str = ""
    made: dict[str, str] = field(default_factory=dict)

    async def ask(self, server: ServerProcess, document: str, **values: Any) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {self.token}"} if self.token else {}
        async with httpx2.AsyncClient(base_url=server.url, timeout=PATIENCE_S) as http:
            body = {"query": document, "variables": {"input": values}}
            answer = (await http.post("/graphql", json=body, headers=headers)).json()
        (payload,) = answer.get("data", {"": answer}).values()
        assert payload["errors"] == [], answer
        return dict(payload)

    async def create(self, server: ServerProcess, key: str) -> str:
        created = await self.ask(server, CREATE, title=f"Task {key}", idempotencyKey=key)
        return str(created["task"]["id"])

    async def write_on(self, server: ServerProcess, name: str) -> None:
        while True:
            key = f"{name}-{len(self.made)}"
            self.made[key] = await self.create(server, key)


async def fill(settings: Settings) -> None:
    connection = await asyncpg.connect(settings.database_url)
    history = await connection.fetchval("SELECT coalesce(to_regclass('history'), to_regclass('task_changes'))::text")
    for table in (history, "tasks"):
        await connection.execute(COPY.format(table=table, count=TASKS), timeout=600)
    await connection.close()


@asynccontextmanager
async def longest_wait(settings: Settings) -> AsyncIterator[list[float]]:
    """Give how long each statement that was seen waiting for a lock had waited."""
    connection = await asyncpg.connect(settings.database_url)
    waits = [0.0]

    async def watch() -> None:
        while True:
            waits.append(await connection.fetchval(WAITS))
            await asyncio.sleep(0.02)

    watching = asyncio.create_task(watch())
    try:
        yield waits
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await connection.close()


@asynccontextmanager
async def released(settings: Settings, root: Path = ROOT, *, waits: bool = False) -> AsyncIterator[ServerProcess]:
    server = await start(settings, root=root, waits=waits, ENVIRONMENT="production")
    try:
        yield server
    finally:
        await server.stop()


async def reason(server: ServerProcess) -> str | None:
    async with httpx2.AsyncClient(timeout=PATIENCE_S) as http:
        answer: dict[str, Any] = (await http.get(f"{server.url}/ready")).json()
    return answer.get("reason")


async def is_ready(server: ServerProcess) -> bool:
    return await reason(server) is None


async def test_release_before_serves_on_while_the_database_is_migrated(
    before: Release, own_postgres: PostgresDatabases
) -> None:
    settings = make_settings(own_postgres.url("postgres"))
    await migrations.run(settings, lambda config: upgrade(config, before.revision))
    client = Client()
    async with released(settings, before.root) as old, released(settings, waits=True) as new:
        expected = f"The database is at migration {before.revision}, the code expects {migrations.head_revision()}"
        assert (await reason(new) or "").startswith(expected)
        signed_up = await client.ask(old, SIGN_UP, email="ada@example.com", password="a sentence of hers", name="Ada")
        client.token = signed_up["accessToken"]
        first = await client.create(old, "first")
        await fill(settings)
        writers = [asyncio.create_task(client.write_on(old, name)) for name in ("a", "b", "c")]
        async with longest_wait(settings) as waits:
            await until(lambda: len(client.made) > 10)
            await migrations.upgrade(settings)
            written = len(client.made)
            await until(lambda: len(client.made) > written + 10 or any(writer.done() for writer in writers))
        for writer in writers:
            writer.cancel()
        ended = await asyncio.gather(*writers, return_exceptions=True)
        assert [error for error in ended if not isinstance(error, asyncio.CancelledError)] == []
        assert max(waits) < LONGEST_LOCK_S
        await until_so(lambda: is_ready(new))
        for server in (old, new):
            updated = await client.ask(server, UPDATE, id=first, title="Changed")
            assert updated["task"] == {"title": "Changed"}
        assert await client.create(old, "first") == first
        if before.revision >= KEYS_COMPARED_AS_SENT:
            for key in ("first", *list(client.made)[-20:]):
                assert await client.create(new, key) == ({"first": first} | client.made)[key]


async def answers(server: ServerProcess) -> bool:
    """Ask over a connection of its own, which any of the workers may take."""
    try:
        async with httpx2.AsyncClient(timeout=PATIENCE_S) as client:
            return (await client.get(f"{server.url}/health")).is_success
    except httpx2.ConnectError:
        return False


def workers_of(server: ServerProcess) -> set[psutil.Process]:
    return set(psutil.Process(server.process.pid).children())


@only_sqlite
async def test_workers_stop_when_their_parent_was_killed(fresh_settings: Settings) -> None:
    server = await start(fresh_settings, workers=2)
    workers = workers_of(server)
    assert len(workers) == 2
    # The parent alone.
    server.process.kill()
    await until(lambda: not any(map(psutil.Process.is_running, workers)))
    assert not await answers(server)
    await server.process.wait()


async def test_killed_worker_is_replaced_without_loading_anything_again(fresh_settings: Settings) -> None:
    async with serving(fresh_settings, workers=2, PYTHONPROFILEIMPORTTIME="1") as server:
        # Only from a process without other threads can others be forked.
        assert psutil.Process(server.process.pid).num_threads() == 1
        for _ in range(2):
            before = workers_of(server)
            killed = before.pop()
            killed.kill()
            await until(lambda killed=killed: killed not in workers_of(server))  # type: ignore[misc]
            # Those that are left answer, and the new one by and by.
            for _ in range(10):
                assert await answers(server)
            await until(lambda before=before: len(workers_of(server) - before) == 1)  # type: ignore[misc]
        loaded = [line.split()[-1] for line in server.lines if line.startswith("import time:")]
        assert [loaded.count(name) for name in ("fastapi", "strawberry", "server.app")] == [1, 1, 1]
    assert server.process.returncode == 0


def test_workers_that_cannot_start_end_the_server() -> None:
    program = (
        f"import sys; from server.workers import Workers; print(Workers(lambda: sys.exit({STARTUP_FAILED}), 2).run())"
    )
    ended = subprocess.run([sys.executable, "-W", "error", "-c", program], cwd=ROOT, check=True, capture_output=True)
    assert ended.stdout == b"False\n"
