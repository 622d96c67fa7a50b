"""The histories of many tasks are one statement, and each relation of theirs is one more."""

from typing import Final

import pytest

from core.database import Database
from core.settings import Settings
from tests.factories import SignedIn, sign_in
from tests.graph.operations import run
from tests.histories import Hand, assisted
from tests.servers import RunningServer


async def owner_of(database: Database, settings: Settings, count: int) -> SignedIn:
    """Return a user with so many tasks, each of them made by a run of its own and changed by its owner."""
    owner = await sign_in(database, settings)
    for _ in range(count):
        task = await (await assisted(database, owner)).make()
        await Hand(database, owner.caller).change(task, title="Mine")
    return owner


@pytest.fixture(scope="module")
async def one_task(database: Database, settings: Settings) -> SignedIn:
    return await owner_of(database, settings, 1)


@pytest.fixture(scope="module")
async def twenty_tasks(database: Database, settings: Settings) -> SignedIn:
    return await owner_of(database, settings, 20)


OPERATIONS: Final = [
    ("history { nodes { kind by createdAt fields { name before after } } }", 2),
    ("history(last: 1) { edges { cursor node { by } } pageInfo { hasPreviousPage } }", 2),
    ("history { totalCount }", 2),
    ("history { totalCount nodes { id } }", 3),
    ("history { nodes { run { status } } }", 3),
    ("history { nodes { run { id toolCalls { name } } toolCall { name run { status } } } }", 6),
    ("history { nodes { run { conversation { title } reply { content } } } }", 5),
]


async def test_statement_count_is_independent_of_the_number_of_tasks(
    server: RunningServer, one_task: SignedIn, twenty_tasks: SignedIn
) -> None:
    for selection, statements in OPERATIONS:
        query = f"{{ tasks(first: 50) {{ nodes {{ {selection} }} }} }}"
        for owner, count in ((one_task, 1), (twenty_tasks, 20)):
            done = await run(server, owner, query)
            assert len(done.data["tasks"]["nodes"]) == count
            assert len(done.statements) == statements, done.statements


async def test_task_gets_its_own_history(server: RunningServer, twenty_tasks: SignedIn) -> None:
    query = "{ tasks(first: 50) { nodes { history { nodes { kind by run { toolCalls { id } } toolCall { id } } } } } }"
    done = await run(server, twenty_tasks, query)
    seen = set()
    for task in done.data["tasks"]["nodes"]:
        made, changed = task["history"]["nodes"]
        assert (made["kind"], made["by"], changed["kind"], changed["by"]) == ("CREATED", "ASSISTANT", "UPDATED", "USER")
        assert made["run"] == {"toolCalls": [made["toolCall"]]}
        seen.add(made["toolCall"]["id"])
    assert len(seen) == 20


async def test_values_of_changes_are_read_only_where_selected(server: RunningServer, one_task: SignedIn) -> None:
    done = await run(server, one_task, "{ tasks { nodes { history { nodes { kind by } } } } }")
    assert not any(name in done.statements[1] for name in ('"before"', '"after"', ".before", ".after", "tool_call_id"))
