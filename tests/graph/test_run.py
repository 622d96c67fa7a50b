"""Runs, tool calls and histories as types: batched, each to its own, and nothing of them read that is not shown."""

from dataclasses import dataclass
from typing import Final

import pytest

from core.database import Database
from core.settings import Settings
from models import Conversation
from tests.factories import Answered, SignedIn, answered_rows, sign_in, store, store_answered
from tests.graph.operations import run
from tests.graph.test_statement_counts import OF_NODES, assert_count
from tests.histories import Hand, assisted
from tests.servers import RunningServer

CALLS: Final = 3


@dataclass(frozen=True, slots=True)
class Talk:
    """A user with a conversation whose messages were all answered."""

    owner: SignedIn
    answered: list[Answered]


@pytest.fixture(scope="module")
async def talks(database: Database, settings: Settings) -> list[Talk]:
    """Give one whose conversation has one answer, and one with twenty-five."""
    made = []
    for count in (1, 25):
        owner = await sign_in(database, settings)
        conversation = Conversation(user_id=owner.user.id, title="Plans", revision=1)
        await store(database, conversation)
        answered = [answered_rows(owner, conversation.id, CALLS) for _ in range(count)]
        await store_answered(database, *answered)
        made.append(Talk(owner, answered))
    return made


OF_MESSAGES: Final = "{{ conversations {{ nodes {{ messages(first: 50) {{ nodes {{ {} }} }} }} }} }}"
CHANGES: Final = """{ changes { changed { id
    ... on Run { status toolCalls { name } } ... on ToolCall { name calledBy: run { status } }
    ... on Message { run { id } }
} } }"""
STATEMENTS: Final = [
    (OF_MESSAGES.format("id"), 2),
    (OF_MESSAGES.format("run { status }"), 3),
    (OF_MESSAGES.format("run { id } content"), 3),
    (OF_MESSAGES.format("run { status toolCalls { name status } }"), 4),
    (OF_MESSAGES.format("run { toolCalls { run { id } } }"), 5),
    (OF_MESSAGES.format("run { conversation { title } message { content } reply { content } }"), 5),
    (OF_MESSAGES.format("run { reply { run { toolCalls { id } } } }"), 6),
    (OF_MESSAGES.format("a: run { model } b: run { model }"), 3),
    # Where the counter stands, which rows there are, one for each kind but tasks, and three relations.
    (CHANGES, 2 + 5 + 3),
    (CHANGES.replace("changed", "entries").replace("{ id\n", "{\n"), 2 + 5 + 3),
    ("{ changes(types: [RUN]) { changed { id } entries { ... on Run { status } } deleted { type } } }", 2 + 1),
]


async def test_statement_count_is_independent_of_the_number_of_runs(server: RunningServer, talks: list[Talk]) -> None:
    for query, count in STATEMENTS:
        for talk in talks:
            await assert_count(server, talk.owner, query, count)


async def test_runs_calls_and_replies_get_their_own(server: RunningServer, talks: list[Talk]) -> None:
    (foreign,), (_, many) = talks[0].answered, talks
    runs = [each.run.id for each in many.answered[:20]]
    calls = [each.calls[0].id for each in many.answered[:20]]
    query = OF_NODES % "{ ... on Run { toolCalls { id } } ... on ToolCall { run { id } } }"
    # Both kinds, the tool calls of the runs, and the runs of the calls.
    nodes = (await assert_count(server, many.owner, query, 3, ids=[*runs, *calls, foreign.run.id]))["nodes"]
    of_runs = [{"toolCalls": [{"id": call.id} for call in each.calls]} for each in many.answered[:20]]
    assert nodes == [*of_runs, *({"run": {"id": run_id}} for run_id in runs), None]
    query = OF_NODES % "{ ... on Message { run { id } } }"
    replies = [each.reply.id for each in many.answered]
    nodes = (await assert_count(server, many.owner, query, 2, ids=[*replies[::-1], foreign.reply.id]))["nodes"]
    assert nodes == [*({"run": {"id": each.run.id}} for each in many.answered[::-1]), None]
    # A user's message loads no run.
    messages = [each.message.id for each in many.answered]
    assert (await assert_count(server, many.owner, query, 1, ids=messages))["nodes"] == [{"run": None}] * 25


async def test_internal_columns_of_runs_are_never_read(server: RunningServer, talks: list[Talk]) -> None:
    everything = """run { id status model inputTokens outputTokens error revision createdAt finishedAt undoneAt
        toolCalls { id name arguments result status revision createdAt } }"""
    done = await run(server, talks[0].owner, OF_MESSAGES.format(everything))
    kept = ("runs.state", "lease_until", "call_id", "time_zone")
    assert not any(secret in statement for secret in kept for statement in done.statements)


@pytest.fixture(scope="module")
async def owners(database: Database, settings: Settings) -> list[SignedIn]:
    """Give users with one task and with twenty, each made by a run of its own and changed by its owner."""
    made = [await sign_in(database, settings) for _ in range(2)]
    for owner, count in zip(made, (1, 20), strict=True):
        for _ in range(count):
            task = await (await assisted(database, owner)).make()
            await Hand(database, owner.caller).change(task, title="Mine")
    return made


HISTORIES: Final = [
    ("history { nodes { kind by createdAt fields { name before after } } }", 2),
    ("history(last: 1) { edges { cursor node { by } } pageInfo { hasPreviousPage } }", 2),
    ("history { totalCount }", 2),
    ("history { totalCount nodes { id } }", 3),
    ("history { nodes { run { status } } }", 3),
    ("history { nodes { run { id toolCalls { name } } toolCall { name run { status } } } }", 6),
    ("history { nodes { run { conversation { title } reply { content } } } }", 5),
]


async def test_histories_of_many_tasks_take_one_statement_and_one_for_each_relation(
    server: RunningServer, owners: list[SignedIn]
) -> None:
    for selection, count in HISTORIES:
        for owner in owners:
            await assert_count(server, owner, f"{{ tasks(first: 50) {{ nodes {{ {selection} }} }} }}", count)


async def test_task_gets_its_own_history(server: RunningServer, owners: list[SignedIn]) -> None:
    query = "{ tasks(first: 50) { nodes { history { nodes { kind by run { toolCalls { id } } toolCall { id } } } } } }"
    seen = set()
    for task in (await run(server, owners[1], query)).data["tasks"]["nodes"]:
        made, changed = task["history"]["nodes"]
        assert (made["kind"], made["by"], changed["kind"], changed["by"]) == ("CREATED", "ASSISTANT", "UPDATED", "USER")
        assert made["run"] == {"toolCalls": [made["toolCall"]]}
        seen.add(made["toolCall"]["id"])
    assert len(seen) == 20
    # The values of changes are read only where they are selected.
    done = await run(server, owners[0], "{ tasks { nodes { history { nodes { kind by } } } } }")
    assert not any(name in done.statements[1] for name in ('"before"', '"after"', ".before", ".after", "tool_call_id"))
