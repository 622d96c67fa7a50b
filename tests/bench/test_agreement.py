"""The servers that are compared answer alike, as far as they run without anything of npm's."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from bench.agreement import require_agreement
from bench.asking import BenchError, Request
from bench.ground import Ground, ground_on
from bench.load import load
from bench.operations import CREATE, LISTS, OPERATIONS, SCALAR, VIEWER, Operation
from bench.questions import questions_of
from bench.servers import Server, running
from tests.databases import Databases, only_postgresql

pytestmark = [
    only_postgresql,
    pytest.mark.skipif(shutil.which("taskset") is None, reason="needs taskset, to give servers their cores"),
]


@pytest.fixture(scope="module")
async def ground(databases: Databases) -> Ground:
    return await ground_on(await databases.create(), sorted(os.sched_getaffinity(0)), postgres_pid=0)


@pytest.fixture(scope="module")
async def servers(ground: Ground) -> AsyncIterator[list[Server]]:
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(running(key, ground, ground.cores))
            for key in ("ours", "conventional", "bare")
        ]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
async def test_all_servers_answer_alike(operation: Operation, servers: list[Server], ground: Ground) -> None:
    questions = [(server, (await questions_of(server, operation, ground.rows))[0]) for server in servers]
    await require_agreement(operation, questions, ground.database_url)


async def test_a_difference_ends_the_measurement_and_is_shown(servers: list[Server], ground: Ground) -> None:
    ours, conventional, _ = servers
    (question,) = await questions_of(ours, LISTS, ground.rows)
    shorter = Request(question.token, {**question.body, "variables": {"conversations": 20, "messages": 19}})
    with pytest.raises(BenchError, match=r"Tasktalk and .* disagree on 20 x 20:\n--- Tasktalk\n"):
        await require_agreement(LISTS, [(ours, question), (conventional, shorter)], ground.database_url)


async def test_another_task_than_was_asked_for_is_noticed(servers: list[Server], ground: Ground) -> None:
    question = (await questions_of(servers[0], CREATE, ground.rows))[0]
    other = {"input": {**CREATE.variables["input"], "tags": []}}
    changed = Request(question.token, {**question.body, "variables": other})
    with pytest.raises(BenchError, match="Tasktalk made another task"):
        await require_agreement(CREATE, [(servers[0], changed)], ground.database_url)


async def test_an_error_is_no_answer(servers: list[Server], ground: Ground) -> None:
    (question,) = await questions_of(servers[0], VIEWER, ground.rows)
    with pytest.raises(BenchError, match=r"Tasktalk answers .* with 200: .*GRAPHQL_VALIDATION_FAILED"):
        await servers[0].answer(replace(question, body={"query": "{ nothing }"}))


@pytest.mark.skipif(shutil.which("wrk") is None, reason="needs wrk")
async def test_a_load_gives_figures_or_fails(servers: list[Server], ground: Ground) -> None:
    questions = await questions_of(servers[0], SCALAR, ground.rows)
    figures = await load(servers[0], questions, connections=2, seconds=1)
    assert figures.rate > 0
    assert figures.busy > 0
    assert 0 < figures.p50_ms <= figures.p99_ms
    await servers[0].rest()
    assert servers[0].memory_mib() > 1
    refused = replace(questions[0], body={"query": 7})
    with pytest.raises(BenchError, match=r"requests were answered and [1-9].* failed, of: { __typename }"):
        await load(servers[0], [questions[0], refused], connections=2, seconds=1)
    (longer,) = await questions_of(servers[0], LISTS, ground.rows)
    with pytest.raises(BenchError, match=r"Answers were [0-9]+ bytes long, in place of [0-9]{5}, of: query Conversat"):
        await load(servers[0], [longer, questions[0]], connections=2, seconds=1)
