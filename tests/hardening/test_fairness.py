"""Connections are shared fairly: bounds for each user and request, queues that take turns, the server's work first."""

import asyncio
from contextvars import Context
from typing import Any, Final
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel.ext.asyncio.session import AsyncSession

from core.database import Database
from core.errors import UnavailableError
from core.passwords import Argon2Cost, Passwords
from core.permits import PermitQueue
from core.settings import Settings
from core.workload import Workload, current_workload, start_workload
from models import User
from server.http.connections import ConnectionRegistry
from tests.core.test_batch_loader import NAMES
from tests.databases import counted, only_postgresql, opened, run_sql
from tests.factories import make_user, sign_in
from tests.waiting import until

SIZE, PER_USER, PER_REQUEST = 6, 3, 2
USERS: Final = ["ada", "grace", "joan"]


def queue() -> PermitQueue:
    return PermitQueue(SIZE, per_user=PER_USER, per_request=PER_REQUEST, reserve=1)


async def settle() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


def test_bounds_for_a_request_and_a_user() -> None:
    permits, first, second = queue(), Workload(user_id="ada"), Workload(user_id="ada")
    assert [permits.take(first) for _ in range(3)] == [True, True, False]
    assert [permits.take(second) for _ in range(2)] == [True, False]


def test_one_connection_is_kept_for_the_servers_own_work() -> None:
    permits = queue()
    assert [permits.take(Workload(user_id=str(number))) for number in range(SIZE)] == [True] * (SIZE - 1) + [False]
    assert [permits.take(None), permits.take(None)] == [True, False]


async def test_queues_of_users_take_turns_and_the_servers_own_work_goes_first() -> None:
    permits, served = queue(), []

    async def wait(workload: Workload | None, name: str) -> None:
        await permits.wait(workload)
        served.append(name)

    for _ in range(SIZE):
        assert permits.take(None)
    waiting = [asyncio.create_task(wait(Workload(user_id="ada"), "ada")) for _ in range(20)]
    waiting += [asyncio.create_task(wait(Workload(user_id=name), name)) for name in ("grace", "joan", "grace")]
    waiting.append(asyncio.create_task(wait(None, "own")))
    await settle()
    # Two each time, since one connection is kept back.
    for _ in range(SIZE):
        permits.give_back(None)
    await settle()
    assert served[:5] == ["own", "ada", "grace", "joan", "ada"]
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


@pytest.mark.parametrize("workload", [None, Workload(user_id="ada")], ids=["own", "a user's"])
async def test_permit_is_not_given_to_who_was_cancelled_this_moment(workload: Workload | None) -> None:
    permits = queue()
    for _ in range(SIZE):
        assert permits.take(None)
    gone, next_one = (asyncio.create_task(permits.wait(each)) for each in (workload, Workload(user_id="grace")))
    await settle()
    gone.cancel()
    for _ in range(2):
        permits.give_back(None)
    await asyncio.gather(gone, next_one, return_exceptions=True)
    assert gone.cancelled()
    assert next_one.exception() is None
    assert permits.in_use == SIZE - 1


class Model:
    """Requests of three users and of the server itself that come, wait, leave and give up."""

    def __init__(self) -> None:
        self.permits = queue()
        self.requests = [Workload(user_id=name) for name in (*USERS, *USERS, "ada")] + [None]
        self.holding: list[Workload | None] = []
        self.waiting: dict[asyncio.Task[None], Workload | None] = {}

    def come(self, which: int) -> None:
        workload = self.requests[which]
        if self.permits.take(workload):
            self.holding.append(workload)
        else:
            self.waiting[asyncio.create_task(self._wait(workload))] = workload

    async def _wait(self, workload: Workload | None) -> None:
        await self.permits.wait(workload)
        self.holding.append(workload)

    def leave(self, which: int) -> None:
        if self.holding:
            self.permits.give_back(self.holding.pop(which % len(self.holding)))

    def cancel(self, which: int) -> None:
        if self.waiting:
            [*self.waiting][which % len(self.waiting)].cancel()

    async def check(self) -> None:
        await settle()
        self.waiting = {task: workload for task, workload in self.waiting.items() if not task.done()}
        assert self.permits.in_use == len(self.holding) <= SIZE
        users = [each.key for each in self.holding if each is not None]
        assert len(users) < SIZE
        assert all(users.count(name) <= PER_USER for name in USERS)
        assert all(each is None or self.holding.count(each) <= PER_REQUEST for each in self.holding)
        # Nobody waits who could be served.
        assert not any(self.permits.take(workload) for workload in self.waiting.values())


@given(steps=st.lists(st.tuples(st.sampled_from(["come", "leave", "cancel"]), st.integers(0, 7)), max_size=60))
async def test_no_permit_is_lost_and_nobody_waits_who_could_be_served(steps: list[tuple[str, int]]) -> None:
    model = Model()
    for name, which in steps:
        getattr(model, name)(which)
        await model.check()
    for task in model.waiting:
        task.cancel()
    await model.check()
    while model.holding:
        model.leave(0)
    assert model.permits.in_use == 0


async def rename(database: Database, user_id: str, name: str) -> None:
    start_workload(user_id=user_id)
    await database.write(lambda session: run_sql(session, RENAME, name=name, id=user_id))


RENAME: Final = "UPDATE users SET name = :name WHERE id = :id"


@only_postgresql
async def test_writers_of_one_user_wait_with_one_connection(fresh_settings: Settings) -> None:
    async with opened(fresh_settings, database_pool_size=3, database_max_overflow=0) as database:
        ada, grace = await make_user(database), await make_user(database)
        locked, go_on = asyncio.Event(), asyncio.Event()

        async def lock(session: AsyncSession) -> None:
            await run_sql(session, RENAME, name="locked", id=ada.id)
            locked.set()
            await go_on.wait()

        async with opened(fresh_settings) as other:
            locking = asyncio.create_task(other.write(lock))
            await locked.wait()
            writing = [in_new_context(rename(database, ada.id, f"Ada {number}")) for number in range(20)]
            await until(lambda: database.pool.in_use == 1)
            await in_new_context(rename(database, grace.id, "Grace"))
            assert database.pool.in_use == 1
            assert not any(task.done() for task in writing)
            go_on.set()
            await asyncio.gather(locking, *writing)


def in_new_context(work: Any) -> "asyncio.Task[None]":
    return asyncio.get_running_loop().create_task(work, context=Context())


async def test_batched_lookup_counts_to_the_least_busy_of_those_who_wait_for_it(fresh_settings: Settings) -> None:
    async with opened(fresh_settings, database_pool_size=8, database_max_overflow=0) as database:
        ada, grace = await make_user(database), await make_user(database)
        with counted() as statements:
            start_workload(user_id=ada.id)
            held = [await database.pool.acquire() for _ in range(3)]
            # By herself she has as many connections as one request may have.
            alone = asyncio.create_task(load_name(database, ada))
            await settle()
            assert (alone.done(), database.pool.in_use, len(statements)) == (False, 3, 0)
            # With another's key, and with the server's own, hers goes along.
            for other in (Workload(user_id=grace.id), None):
                loading = [load_name(database, grace, other), load_name(database, ada)]
                assert await asyncio.gather(*map(asyncio.create_task, loading)) == [grace.name, ada.name]
            assert (alone.done(), len(statements)) == (False, 2)
            for connection in held:
                database.pool.release(connection)
            assert await alone == ada.name


async def load_name(database: Database, user: User, *other: Workload | None) -> Any:
    for workload in other:
        current_workload.set(workload)
    return (await database.batch_loader.load(NAMES, (user.id,))).name


async def test_check_of_sessions_is_the_servers_own_work(fresh_settings: Settings) -> None:
    """It is the user's own request that ends the others' sessions, and all that the user may use may be in use."""
    async with opened(fresh_settings, database_pool_size=4, database_max_overflow=0) as database:
        user = await sign_in(database, fresh_settings)
        await database.write(lambda session: run_sql(session, "DELETE FROM sessions"))
        registry, connection = ConnectionRegistry(database, max_per_user=1), Mock(caller=user.caller)
        registry.add(connection)
        start_workload(user_id=user.user.id)
        held = [await database.pool.acquire() for _ in range(3)]
        registry.check_user(user.user.id)
        await until(lambda: connection.end_session.called)
        for each in held:
            database.pool.release(each)


async def test_accounts_made_by_one_address_do_not_hold_up_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.passwords.os.cpu_count", lambda: 2)
    passwords, done = Passwords(Argon2Cost(passes=1, memory_kib=64, parallelism=1)), list[str]()

    async def hash_for(address: str) -> None:
        start_workload(address=address)
        await passwords.hash("a long password")
        done.append(address)

    many = [in_new_context(hash_for("1.2.3.4")) for _ in range(40)]
    await settle()
    await in_new_context(hash_for("5.6.7.8"))
    assert len(done) < 10
    outcomes = await asyncio.gather(*many, return_exceptions=True)
    # One in a thread, and as many as may wait.
    assert sum(outcome is None for outcome in outcomes) == 33
    assert {type(outcome) for outcome in outcomes if outcome is not None} == {UnavailableError}
    passwords.close()
