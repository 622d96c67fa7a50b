"""Caches: what clients send makes none of them grow beyond its bytes, and no alias reaches a statement."""

import re
import tracemalloc
import weakref
from collections.abc import AsyncIterator
from typing import Final

import pytest

from core.database import Database
from core.prepared_statement import STATEMENTS
from core.settings import Settings
from models import Task
from server.graphql import documents
from server.graphql.documents import Documents
from server.http.errors import RefusedError
from server.http.headers import MEDIA_TYPES, MediaType, preferred_media_type
from services.query.ordering import ORDERS, OrderDirection, order_by, sort_key
from services.query.sql import table_of
from tests.factories import SignedIn, make_conversation, make_message, make_task
from tests.graph.operations import run
from tests.live.processes import ROOT
from tests.servers import RunningServer, serve_with

PACKAGES: Final = ("assistant", "core", "engine", "graph", "live", "models", "resolvers", "server", "services")


@pytest.fixture
async def small_server(settings: Settings) -> AsyncIterator[RunningServer]:
    """Give a server with one connection, of which all prepared statements are known."""
    async with serve_with(settings, database_pool_size=1, database_max_overflow=0, run_lease_s=3600.0) as server:
        yield server


def with_new_aliases(number: int, task_id: str) -> str:
    """Return an operation of which no response key was there before."""
    a = f"alias{number}"
    return f"""query Q{a} {{
        r{a}: tasks(first: 2) {{ n{a}: nodes {{ i{a}: id t{a}: title
            s{a}: subtasks {{ c{a}: totalCount n{a}: nodes {{ d{a}: dueAt p{a}: parent {{ i{a}: id }} }} }}
            o{a}: owner {{ m{a}: name }} h{a}: history {{ e{a}: edges {{ n{a}: node {{ k{a}: kind }} }} }} }} }}
        u{a}: conversations {{ e{a}: edges {{ n{a}: node {{ i{a}: id l{a}: lastMessage {{ c{a}: content }} }} }} }}
        x{a}: node(id: "{task_id}") {{ i{a}: id ... on Task {{ t{a}: title }} }}
        y{a}: task(id: "{task_id}") {{ t{a}: tags }} v{a}: viewer {{ e{a}: email }}
        z{a}: changes {{ c{a}: changed {{ i{a}: id }} }}
    }}"""


async def test_no_alias_reaches_a_statement(small_server: RunningServer, user: SignedIn) -> None:
    database = small_server.runtime.database
    task = await make_task(database, user.caller)
    await make_task(database, user.caller, parent_id=task.id)
    conversation = await make_conversation(database, user.caller)
    await make_message(database, user.caller, conversation.id)
    first = await run(small_server, user, with_new_aliases(0, task.id))
    known, prepared = (len(STATEMENTS), STATEMENTS.misses), await prepared_statements(database)
    for number in range(1, 100):
        done = await run(small_server, user, with_new_aliases(number, task.id))
        assert len(done.statements) == len(first.statements)
        assert {*done.statements} == {*first.statements}
    assert (len(STATEMENTS), STATEMENTS.misses) == known
    assert await prepared_statements(database) == prepared
    assert not any("alias" in statement for statement in prepared)


async def prepared_statements(database: Database) -> set[str]:
    """Return what is prepared on the connection, of PostgreSQL."""
    if database.is_sqlite:
        return set()
    connection = await database.pool.acquire()
    try:
        rows = await connection.driver_connection.fetch("SELECT statement FROM pg_prepared_statements")  # type: ignore[union-attr]
    finally:
        database.pool.release(connection)
    return {row["statement"] for row in rows}


VARIABLES: Final = [f"c{number}" for number in range(6)]
SKIPPING: Final = (
    f"query ({' '.join(f'${name}: Boolean!' for name in VARIABLES)}) {{ ...F "
    f"{' '.join(f's{name}: __typename @skip(if: ${name})' for name in VARIABLES)} }} "
    f"fragment F on Query {{ {' '.join(f'f{number}: __typename' for number in range(80))} }}"
)


async def execute_combination(found: Documents, number: int) -> None:
    values = {name: bool(number >> bit & 1) for bit, name in enumerate(VARIABLES)}
    result = await found.get(SKIPPING).select(None).plan.execute(variable_values=values)
    assert result.data


async def test_plans_of_combinations_of_conditions_are_counted_with_their_document(found: Documents) -> None:
    found.get(SKIPPING).select(None)
    before = found.cache.size_bytes
    tracemalloc.start()
    try:
        await execute_combination(found, 0)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    one = found.cache.size_bytes - before
    assert kept <= one == documents._FIELD_BYTES * 86  # noqa: SLF001
    for number in range(64):
        await execute_combination(found, number)
    # At most so many of a document, and one that is kept costs nothing more.
    assert found.cache.size_bytes - before == 32 * one
    await execute_combination(found, 63)
    assert found.cache.size_bytes - before == 32 * one


async def test_document_whose_plans_are_larger_than_the_cache_is_not_kept(found: Documents) -> None:
    found.cache.max_bytes = 1_000_000
    found.get("{ __typename }")
    kept = []
    for number in range(4):
        await execute_combination(found, number)
        kept.append(SKIPPING in found.cache)
        assert found.cache.size_bytes <= found.cache.max_bytes
    # Prepared again, it begins with one plan.
    assert kept == [True, True, False, True]
    assert "{ __typename }" in found.cache


class Kept:
    """Something that a request holds."""


def ask(found: Documents, text: str, _kept: Kept) -> None:
    with pytest.raises(RefusedError):
        found.get(text)


@pytest.mark.parametrize("text", ["{ nothing }", "{", "{ " + "a " * 6_000])
def test_refused_document_keeps_nothing_of_the_request(found: Documents, text: str) -> None:
    for _ in range(2):
        kept = Kept()
        is_gone = weakref.ref(kept)
        ask(found, text, kept)
        del kept
        assert is_gone() is None


def test_accept_headers_are_kept_within_bytes() -> None:
    for number in range(1_000):
        accept = f"application/json, text/{number}, {'x/y,' * 2_000}".encode()
        assert preferred_media_type(accept) is MediaType.JSON
    assert MEDIA_TYPES.size_bytes <= MEDIA_TYPES.max_bytes
    assert MEDIA_TYPES.evictions > 0


def test_order_with_repeats_is_kept_once_and_the_first_of_a_field_wins() -> None:
    title, due = sort_key(Task, "title"), sort_key(Task, "due_at")
    first = [(title, OrderDirection.DESC), (due, OrderDirection.ASC)]
    order, size = order_by(table_of(Task), first), len(ORDERS)
    for repeats in range(1, 200):
        assert order_by(table_of(Task), first + [(title, OrderDirection.ASC)] * repeats) is order
    assert len(ORDERS) == size
    assert [part.descending for part in order.keys] == [True, False, False]


def test_caches_of_functions_are_keyed_by_types_alone() -> None:
    """What clients send is cached in an LRUCache, which is bounded in bytes and shown by /metrics."""
    sources = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    found = {path.name for path in sources if re.search(r"\blru_cache\b", path.read_text(encoding="utf-8"))}
    assert found == {"values.py"}
