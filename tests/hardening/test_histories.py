"""Random clients, random faults: what they have seen must be what tasks of which nothing is lost can show.

TASKTALK_HISTORY_S=600 plays for ten minutes on each database; TASKTALK_HISTORY_SEED repeats the choices of a run.
"""

import asyncio
import os
import random
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any, Final

import asyncpg
import httpx2

import migrations
from core.database import Database
from core.settings import Settings
from services.sync.changes import Cursor
from tests.databases import locked_file, make_settings, only_sqlite, opened
from tests.factories import SignedIn, sign_in
from tests.graph_client import Answer, GraphClient
from tests.hardening.breakable import FAULT_S, Link, PostgresServer, running, wrong_clock
from tests.hardening.observed import Kind, Operation, Replica, Seen, check, check_replica
from tests.live.following import Follower, following
from tests.state import state_of
from tests.waiting import SHORT_LIVED, until_so

_USERS: Final = 3
_WRITERS_PER_USER: Final = 3
_REQUEST_S: Final = 2.0
_PAUSE_S: Final = 0.02
_SQLITE_S, _POSTGRES_S = 20.0, 40.0
# Waits for the standby at each commit, so that none is lost when it is promoted.
_DURABLE: Final = {"synchronous_commit": "on"}
_REPLICATED: Final = _DURABLE | {"synchronous_standby_names": "'*'"}
_TASK: Final = "task { id title revision }"
_CREATE: Final = (
    f"mutation ($input: CreateTaskInput!) {{ result: createTask(input: $input) {{ {_TASK} errors {{ code }} }} }}"
)
_UPDATE: Final = (
    f"mutation ($input: UpdateTaskInput!) {{ result: updateTask(input: $input) {{ {_TASK} errors {{ code }} }} }}"
)
_DELETE: Final = "mutation ($input: TaskRefInput!) { result: deleteTask(input: $input) { deletedIds errors { code } } }"
_READ: Final = "query ($id: ID!) { task(id: $id) { title revision } }"
_PAGE: Final = "{ changed { id ... on Task { title revision } } deletedIds cursor hasMore }"
_CHANGES: Final = f"query ($cursor: String) {{ changes(since: $cursor, first: 20) {_PAGE} }}"
_SUBSCRIPTION: Final = f"subscription ($cursor: String) {{ changes(since: $cursor) {_PAGE} }}"


@dataclass(slots=True)
class World:
    """The servers, and everything that their clients have seen."""

    clients: list[httpx2.AsyncClient]
    chance: random.Random
    is_over: bool = False
    operations: dict[str, list[Operation]] = field(default_factory=dict)

    async def ask(self, user: SignedIn, query: str, variables: dict[str, Any]) -> Answer | None:
        """Send a request to one of the servers; return None where it is not known whether it was done."""
        try:
            answer = await GraphClient(self.chance.choice(self.clients)).execute(query, variables, as_=user)
        except (httpx2.HTTPError, ValueError):
            return None
        if not answer.errors:
            return answer
        assert set(answer.codes) <= {"SERVICE_UNAVAILABLE"}, answer
        return None


@dataclass(slots=True)
class Writer:
    """One of the programs by which a user changes their tasks."""

    world: World
    user: SignedIn
    name: str
    count: int = 0

    async def run(self) -> None:
        chance = self.world.chance
        while not self.world.is_over:
            (act,) = chance.choices([self.create, self.update, self.read, self.delete], [3, 5, 4, 1])
            await act()
            await asyncio.sleep(chance.uniform(0, _PAUSE_S))

    def begin(self, kind: Kind, **values: Any) -> Operation:
        if kind in {Kind.CREATE, Kind.UPDATE}:
            self.count += 1
            values["title"] = f"{self.name} {self.count}"
        operation = Operation(kind, **values)
        self.world.operations[self.user.user.id].append(operation)
        return operation

    def known(self) -> Operation | None:
        """Return an operation that has shown a task."""
        shown = [each for each in self.world.operations[self.user.user.id] if each.seen is not None and each.task_id]
        return self.world.chance.choice(shown[-20:]) if shown else None

    async def create(self) -> None:
        """Create a task, by the same key until there is an answer; then once more, which must give the same one."""
        operation = self.begin(Kind.CREATE)
        given = {"title": operation.title, "idempotencyKey": secrets.token_hex(8)}
        while (answer := await self.world.ask(self.user, _CREATE, {"input": given})) is None:
            if self.world.is_over:
                return
        task = answer.data["result"]["task"]
        operation.end(task["id"], Seen(task["title"], task["revision"]))
        if again := await self.world.ask(self.user, _CREATE, {"input": given}):
            repeated = again.data["result"]["task"]
            assert repeated is None or repeated["id"] == task["id"], (task, repeated)

    async def update(self) -> None:
        if (known := self.known()) is None:
            return
        assert known.seen is not None
        expected = known.seen.revision if self.world.chance.random() < 0.7 else None
        operation = self.begin(Kind.UPDATE, task_id=known.task_id, expected_revision=expected)
        given = {"id": known.task_id, "title": operation.title, "expectedRevision": expected}
        if answer := await self.world.ask(self.user, _UPDATE, {"input": given}):
            self.settle(operation, answer.data["result"])

    async def delete(self) -> None:
        if known := self.known():
            operation = self.begin(Kind.DELETE, task_id=known.task_id)
            if answer := await self.world.ask(self.user, _DELETE, {"input": {"id": known.task_id}}):
                self.settle(operation, answer.data["result"])

    def settle(self, operation: Operation, result: dict[str, Any]) -> None:
        """Note what a write has come to."""
        if not result["errors"]:
            task = result.get("task")
            operation.end(operation.task_id, Seen(task["title"], task["revision"]) if task else None)
            return
        code = result["errors"][0]["code"]
        assert code in {"CONFLICT", "NOT_FOUND"}, result
        operation.refuse()
        if code == "NOT_FOUND":
            missed = Operation(Kind.READ, operation.task_id, began=operation.began)
            missed.end(operation.task_id, None)
            self.world.operations[self.user.user.id].append(missed)

    async def read(self) -> None:
        if known := self.known():
            operation = self.begin(Kind.READ, task_id=known.task_id)
            if answer := await self.world.ask(self.user, _READ, {"id": known.task_id}):
                task = answer.data["task"]
                operation.end(known.task_id, Seen(task["title"], task["revision"]) if task else None)


def apply(replica: Replica, page: dict[str, Any]) -> None:
    tasks = [row for row in page["changed"] if "title" in row]
    replica.apply([(row["id"], Seen(row["title"], row["revision"])) for row in tasks], page["deletedIds"])


async def keep_up(world: World, user: SignedIn, replica: Replica) -> None:
    """Keep a copy by pages of changes, each from any of the servers; it must never miss what was answered before."""
    cursor = None
    while True:
        asked_at, has_more = Operation(Kind.READ).began, True
        while has_more:
            answer = await world.ask(user, _CHANGES, {"cursor": cursor})
            if answer is not None:
                page = answer.data["changes"]
                apply(replica, page)
                cursor, has_more = page["cursor"], page["hasMore"]
        check_replica(replica, world.operations[user.user.id], asked_at)
        await asyncio.sleep(world.chance.uniform(0, 10 * _PAUSE_S))


def followed(follower: Follower) -> dict[str, Seen]:
    """Return the copy that the events of a subscription make."""
    replica = Replica()
    for event in follower.events:
        apply(replica, event)
    return replica.tasks


async def agree(database: Database, user: SignedIn, copy: Replica, follower: Follower) -> bool:
    """Tell whether both copies are as the database is."""
    assert follower.failure is None, follower.failure
    rows, _ = await final_rows(database, user)
    return copy.tasks == rows and followed(follower) == rows


async def final_rows(database: Database, user: SignedIn) -> tuple[dict[str, Seen], list[str]]:
    """Return the tasks that the database holds, and the ids of those that were deleted."""
    state = await state_of(database, user.user.id)
    rows = [row for row in state.rows.values() if hasattr(row, "title") and hasattr(row, "completed")]
    return {row.id: Seen(row.title, row.revision) for row in rows}, list(state.deletions)


Fault = Callable[[], Awaitable[object]]


async def play(database: Database, settings: Settings, urls: list[str], faults: list[Fault], seconds: float) -> None:
    """Let users work while faults happen, in order and over again; then check all that they have seen."""
    seed = os.environ.get("TASKTALK_HISTORY_SEED") or secrets.token_hex(4)
    print(f"TASKTALK_HISTORY_SEED={seed}")  # noqa: T201 - shown where the test fails
    clients = [httpx2.AsyncClient(base_url=url, timeout=_REQUEST_S, limits=SHORT_LIVED) for url in urls]
    world = World(clients, random.Random(seed))  # noqa: S311 - no secret
    users = [await sign_in(database, settings) for _ in range(_USERS)]
    world.operations = {user.user.id: [] for user in users}
    ends_at_s = time.monotonic() + float(os.environ.get("TASKTALK_HISTORY_S", seconds))
    begin = Cursor(0).write()
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        for client in clients:
            await stack.enter_async_context(client)
        followers = [
            await stack.enter_async_context(following(urls, user, _SUBSCRIPTION, {"cursor": begin})) for user in users
        ]
        copies = [Replica() for _ in users]
        keeping = [group.create_task(keep_up(world, user, copy)) for user, copy in zip(users, copies, strict=True)]
        names = [(number, f"{number}-{writer}") for number in range(_USERS) for writer in range(_WRITERS_PER_USER)]
        writing = [group.create_task(Writer(world, users[number], name).run()) for number, name in names]
        for number, fault in enumerate(cycle(faults)):
            if number >= len(faults) and time.monotonic() >= ends_at_s:
                break
            await fault()
            await asyncio.sleep(world.chance.uniform(0, FAULT_S))
        world.is_over = True
        await asyncio.gather(*writing)
        for user, copy, follower in zip(users, copies, followers, strict=True):
            # What was sent last and not answered may still be done.
            await until_so(partial(agree, database, user, copy, follower))
            check(world.operations[user.user.id], *await final_rows(database, user))
        for task in keeping:
            task.cancel()
    # What stood still the whole time has proved nothing.
    assert all(len(operations) > 20 for operations in world.operations.values())


@only_sqlite
async def test_history_on_sqlite(fresh_settings: Settings) -> None:
    async with opened(fresh_settings) as database, running([fresh_settings] * 2, [{}] * 2) as servers:

        async def lock() -> None:
            with locked_file(fresh_settings):
                await asyncio.sleep(FAULT_S)

        faults: list[Fault] = [lambda: servers.kill(0), lambda: servers.freeze(1), lock]
        urls = [server.url for server in servers.running]
        await play(database, fresh_settings, urls, faults, _SQLITE_S)


@dataclass(slots=True)
class Replicated:
    """A primary, and its standby until that has taken its place."""

    databases: list[PostgresServer]

    @property
    def settings(self) -> Settings:
        return self.settings_by(database.port for database in self.databases)

    def settings_by(self, ports: Iterable[int]) -> Settings:
        hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
        return make_settings(f"postgresql://postgres@{hosts}/postgres")

    async def restart(self) -> None:
        primary = self.databases[0]
        await asyncio.to_thread(primary.stop)
        await asyncio.to_thread(primary.start, **(_REPLICATED if len(self.databases) > 1 else _DURABLE))

    async def fail_over(self) -> None:
        if len(self.databases) > 1:
            # PostgreSQL shows a change whose wait for the standby was broken off, and would lose it.
            async with self.connected() as connection:
                position = await connection.fetchval("SELECT pg_current_wal_insert_lsn()")
                arrived = "SELECT bool_or(replay_lsn >= $1) FROM pg_stat_replication"
                await until_so(partial(connection.fetchval, arrived, position))
            await asyncio.to_thread(self.databases.pop(0).stop)
            await asyncio.to_thread(self.databases[0].promote)

    async def end_connections(self) -> None:
        # Not the one that sends to the standby.
        others = "SELECT pid FROM pg_stat_activity WHERE datname IS NOT NULL AND pid <> pg_backend_pid()"
        async with self.connected() as connection:
            for row in await connection.fetch(others):
                await connection.execute("SELECT pg_terminate_backend($1)", row["pid"])

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[asyncpg.Connection]:
        connection = await asyncpg.connect(self.settings_by([self.databases[0].port]).database_url)
        try:
            yield connection
        finally:
            await connection.close()


async def test_history_on_postgresql(servers: tuple[PostgresServer, PostgresServer], tmp_path: Path) -> None:
    """Two servers whose clocks are two hours apart, on a primary and its standby, which is promoted in the middle."""
    replicated = Replicated(list(servers))
    await replicated.restart()
    settings = replicated.settings
    await migrations.upgrade(settings)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(opened(settings))
        links = [[await stack.enter_async_context(Link(each.port).opened()) for each in servers] for _ in range(2)]
        ways = [replicated.settings_by(link.port for link in way) for way in links]
        variables = [wrong_clock(tmp_path / str(hours), hours) for hours in (1, -1)]
        group = await stack.enter_async_context(running(ways, variables))

        async def cut_off() -> None:
            await asyncio.gather(*(link.hold_up() for link in links[0]))

        faults: list[Fault] = [
            lambda: group.kill(0),
            replicated.end_connections,
            lambda: group.freeze(1),
            cut_off,
            replicated.restart,
            replicated.fail_over,
            lambda: group.kill(1),
        ]
        await play(database, settings, [server.url for server in group.running], faults, _POSTGRES_S)
