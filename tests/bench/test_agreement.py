"""The servers that are compared answer alike, as far as they run without anything of npm's."""

import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from bench.agreement import require_agreement
from bench.asking import BenchError, Request
from bench.ground import Ground, ground_on
from bench.load import load
from bench.operations import CREATE, LISTS, OPERATIONS, SCALAR, VIEWER
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
async def ours(ground: Ground) -> AsyncIterator[Server]:
    async with running("ours", ground, ground.cores) as server:
        yield server


async def test_all_servers_answer_alike(ours: Server, ground: Ground) -> None:
    async with (
        running("conventional", ground, ground.cores) as conventional,
        running("bare", ground, ground.cores) as bare,
    ):
        for operation in OPERATIONS:
            questions = [
                (server, (await questions_of(server, operation, ground.rows))[0])
                for server in (ours, conventional, bare)
            ]
            await require_agreement(operation, questions, ground.database_url)


async def test_a_difference_ends_the_measurement_and_is_shown(ours: Server, ground: Ground) -> None:
    (question,) = await questions_of(ours, LISTS, ground.rows)
    shorter = Request(question.token, {**question.body, "variables": {"conversations": 20, "messages": 19}})
    with pytest.raises(BenchError, match=r"Tasktalk and Tasktalk disagree on 20 x 20:\n--- Tasktalk\n"):
        await require_agreement(LISTS, [(ours, question), (ours, shorter)], ground.database_url)


async def test_another_task_than_was_asked_for_is_noticed(ours: Server, ground: Ground) -> None:
    question = (await questions_of(ours, CREATE, ground.rows))[0]
    other = {"input": {**CREATE.variables["input"], "tags": []}}
    changed = Request(question.token, {**question.body, "variables": other})
    with pytest.raises(BenchError, match="Tasktalk made another task"):
        await require_agreement(CREATE, [(ours, changed)], ground.database_url)


async def test_an_error_is_no_answer(ours: Server, ground: Ground) -> None:
    (question,) = await questions_of(ours, VIEWER, ground.rows)
    with pytest.raises(BenchError, match=r"Tasktalk answers .* with 200: .*GRAPHQL_VALIDATION_FAILED"):
        await ours.answer(replace(question, body={"query": "{ nothing }"}))


@pytest.mark.skipif(shutil.which("wrk") is None, reason="needs wrk")
async def test_a_load_gives_figures_or_fails(ours: Server, ground: Ground) -> None:
    questions = await questions_of(ours, SCALAR, ground.rows)
    figures = await load(ours, questions, connections=2, seconds=1)
    assert figures.rate > 0
    assert figures.busy > 0
    assert 0 < figures.p50_ms <= figures.p99_ms
    await ours.rest()
    assert ours.memory_mib() > 1
    refused = replace(questions[0], body={"query": 7})
    with pytest.raises(BenchError, match=r"requests were answered and [1-9].* failed, of: { __typename }"):
        await load(ours, [questions[0], refused], connections=2, seconds=1)
    (longer,) = await questions_of(ours, LISTS, ground.rows)
    with pytest.raises(BenchError, match=r"Answers were [0-9]+ bytes long, in place of [0-9]{5}, of: query Conversat"):
        await load(ours, [longer, questions[0]], connections=2, seconds=1)
