"""The servers that are compared answer alike, as far as they run without npm's packages."""

import json
import os
import random
import shutil
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bench.agreement import require_agreement
from bench.load import BenchError
from bench.processes import cpu_s, memory_mib
from bench.seed import Population, Tokens, load_rows
from bench.servers import PEERS, SECRET_KEY, Server, running, tasktalk
from bench.workload import CREATE, NEW_ALIAS, NEW_LITERAL, SINGLE, TASKS, Operation, Request, draw_requests
from tests.databases import Databases, only_postgresql

pytestmark = [
    only_postgresql,
    pytest.mark.skipif(shutil.which("taskset") is None, reason="needs taskset, to give servers their cores"),
]
POPULATION = Population(users=20, full_users=4)
CORES = sorted(os.sched_getaffinity(0))


@pytest.fixture(scope="module")
async def database_url(databases: Databases) -> str:
    url = await databases.create()
    await load_rows(url, POPULATION, with_messages=True)
    return url


@pytest.fixture(scope="module")
async def server(database_url: str) -> AsyncIterator[Server]:
    async with running(tasktalk("tasktalk"), database_url, CORES) as server:
        yield server


@pytest.fixture(scope="module")
def tokens() -> Tokens:
    return Tokens.signed(SECRET_KEY, POPULATION)


class ChangedServer:
    def __init__(self, server: Server, old: str, new: str) -> None:
        self.kind = server.kind
        self.database_url = server.database_url
        self._server = server
        self._texts = old, new

    async def answer(self, body: dict[str, Any], token: str) -> Any:
        return json.loads(json.dumps(await self._server.answer(body, token)).replace(*self._texts))


def draw(*operations: Operation, count: int = 1) -> list[Request]:
    chance = random.Random(1)
    return [request for each in operations for request in draw_requests(each, POPULATION, chance, count)]


async def test_all_servers_give_the_same_answers(server: Server, database_url: str, tokens: Tokens) -> None:
    async with (
        running(PEERS["conventional"], database_url, CORES) as conventional,
        running(PEERS["bare"], database_url, CORES) as bare,
    ):
        await require_agreement([server, conventional], draw(*SINGLE, count=2), tokens)
        known = [each for each in SINGLE if each not in {NEW_ALIAS, NEW_LITERAL}]
        await require_agreement([server, bare], draw(*known, count=2), tokens)


@pytest.mark.parametrize("operation", [TASKS, CREATE], ids=lambda operation: operation.name)
async def test_different_answers_end_the_measurement(server: Server, tokens: Tokens, operation: Operation) -> None:
    changed: Any = ChangedServer(server, '"completed": false', '"completed": true')
    with pytest.raises(BenchError, match=rf"Tasktalk and Tasktalk disagree on {operation.title}:\n--- Tasktalk\n"):
        await require_agreement([server, changed], draw(operation), tokens)


async def test_error_is_no_answer(server: Server, tokens: Tokens) -> None:
    with pytest.raises(BenchError, match=r"Tasktalk answers .* with 200: .*GRAPHQL_VALIDATION_FAILED"):
        await server.answer({"query": "{ nothing }"}, tokens.of(0))


async def test_process_tree_uses_time_and_memory(server: Server) -> None:
    assert cpu_s(server.process.pid) > 0
    assert memory_mib(server.process.pid) > 1
