"""Runs and tool calls as types: batched, and nothing of them read that is not shown."""

from dataclasses import dataclass
from typing import Any, Final

import pytest

from core.database import Database
from core.ids import new_id
from core.settings import Settings
from graph.context import Batch
from models import Conversation, Run, ToolCall
from services.query.lookup import rows_by_id
from services.runs.run import runs_by_reply
from services.runs.tool_call import tool_calls_by_run
from tests.factories import Answered, SignedIn, answered_rows, sign_in, store, store_answered
from tests.graph.operations import run
from tests.servers import RunningServer

CALLS: Final = 3


@dataclass(frozen=True, slots=True)
class Talk:
    """A conversation whose messages were all answered."""

    owner: SignedIn
    answered: list[Answered]


async def talk_of(database: Database, settings: Settings, count: int) -> Talk:
    owner = await sign_in(database, settings)
    conversation = Conversation(user_id=owner.user.id, title="Plans", revision=1)
    await store(database, conversation)
    answered = [answered_rows(owner, conversation.id, CALLS) for _ in range(count)]
    await store_answered(database, *answered)
    return Talk(owner, answered)


@pytest.fixture(scope="module")
async def one_run(database: Database, settings: Settings) -> Talk:
    return await talk_of(database, settings, 1)


@pytest.fixture(scope="module")
async def many_runs(database: Database, settings: Settings) -> Talk:
    return await talk_of(database, settings, 25)


OF_MESSAGES: Final = "{{ conversations {{ nodes {{ messages(first: 50) {{ nodes {{ {} }} }} }} }} }}"
STATEMENTS: Final = [
    ("id", 2),
    ("run { status }", 3),
    ("run { id } content", 3),
    ("run { status toolCalls { name status } }", 4),
    ("run { toolCalls { run { id } } }", 5),
    ("run { conversation { title } message { content } reply { content } }", 5),
    ("run { reply { run { toolCalls { id } } } }", 6),
    ("a: run { model } b: run { model }", 3),
]


async def test_statement_count_is_independent_of_the_number_of_runs(
    server: RunningServer, one_run: Talk, many_runs: Talk
) -> None:
    for selection, statements in STATEMENTS:
        query = OF_MESSAGES.format(selection)
        assert len((await run(server, one_run.owner, query)).statements) == statements
        assert len((await run(server, many_runs.owner, query)).statements) == statements


CHANGES: Final = """{ changes { changed { id
    ... on Run { status toolCalls { name } }
    ... on ToolCall { name calledBy: run { status } }
    ... on Message { run { id } }
} } }"""


async def test_statement_count_of_changes_is_independent_of_the_number_of_runs(
    server: RunningServer, one_run: Talk, many_runs: Talk
) -> None:
    # Where the counter stands, which rows there are, one for each kind but tasks, and three relations.
    assert len((await run(server, one_run.owner, CHANGES)).statements) == 2 + 5 + 3
    assert len((await run(server, many_runs.owner, CHANGES)).statements) == 2 + 5 + 3


async def test_nodes_load_many_runs_by_two_statements(server: RunningServer, many_runs: Talk) -> None:
    query = "query ($ids: [ID!]!) { nodes(ids: $ids) { ... on Run { toolCalls { id } } ... on ToolCall { name } } }"
    ids = [each.run.id for each in many_runs.answered[:20]] + [each.calls[0].id for each in many_runs.answered[:20]]
    done = await run(server, many_runs.owner, query, {"ids": ids})
    assert [len(row["toolCalls"]) for row in done.data["nodes"][:20]] == [CALLS] * 20
    # Both kinds, and the tool calls of the runs.
    assert len(done.statements) == 2


async def test_users_message_loads_no_run(server: RunningServer, many_runs: Talk) -> None:
    query = "query ($ids: [ID!]!) { nodes(ids: $ids) { ... on Message { run { id } } } }"
    done = await run(server, many_runs.owner, query, {"ids": [each.message.id for each in many_runs.answered]})
    assert (done.data["nodes"], len(done.statements)) == ([{"run": None}] * 25, 1)


async def test_internal_columns_of_runs_are_never_read(server: RunningServer, one_run: Talk) -> None:
    everything = """run { id status model inputTokens outputTokens error revision createdAt finishedAt undoneAt
        toolCalls { id name arguments result status revision createdAt } }"""
    done = await run(server, one_run.owner, OF_MESSAGES.format(everything))
    kept = ("runs.state", "lease_until", "call_id", "time_zone")
    assert not any(secret in statement for secret in kept for statement in done.statements)


async def load(database: Database, batch: Batch, keys: list[str]) -> list[Any]:
    async with database.read() as session:
        return await batch.load(session, keys)


async def test_run_loaders_keep_the_order_of_the_keys(database: Database, one_run: Talk, many_runs: Talk) -> None:
    caller, columns = many_runs.owner.caller, frozenset({"id"})
    (first, second, *_), (foreign,) = many_runs.answered, one_run.answered
    runs = await load(database, Batch(rows_by_id, caller, columns, Run), [second.run.id, foreign.run.id, first.run.id])
    assert [row and row.id for row in runs] == [second.run.id, None, first.run.id]
    calls = await load(
        database, Batch(rows_by_id, caller, columns, ToolCall), [second.calls[1].id, foreign.calls[0].id, new_id()]
    )
    assert [row and row.id for row in calls] == [second.calls[1].id, None, None]
    replies = [second.reply.id, foreign.reply.id, first.message.id, first.reply.id]
    runs = await load(database, Batch(runs_by_reply, caller, columns), replies)
    assert [row and row.id for row in runs] == [second.run.id, None, None, first.run.id]
    calls = await load(
        database, Batch(tool_calls_by_run, caller, columns), [second.run.id, foreign.run.id, first.run.id]
    )
    own = [[call.id for call in each.calls] for each in (second, first)]
    assert [[row.id for row in rows] for rows in calls] == [own[0], [], own[1]]
