"""Every statement of a user's work on users' rows names their owner: the one wall between users."""

import itertools
import json
import re
from typing import Final

import pytest
from sqlmodel import SQLModel

from core.database import Database
from core.settings import Settings
from core.workload import current_workload
from tests.factories import make_each_entity, make_user, sign_in
from tests.graph.operations import run
from tests.graph.test_statement_counts import OPERATIONS
from tests.graph_client import GraphClient
from tests.schema_walk import SOME_ID, operations
from tests.servers import RunningServer

OWNED: Final = "|".join(table.name for table in SQLModel.metadata.sorted_tables if "user_id" in table.c)
# A table that is read or changed, and the name that it goes by there.
MENTIONED: Final = re.compile(rf"\b(?:FROM|JOIN|UPDATE|USING) ({OWNED})\b(?: AS (\w+))?")
INSERTED: Final = re.compile(rf"\bINSERT INTO ({OWNED}) \(([^)]*)\)")
# The owner is a parameter, or that of a row beside it: of one of the same statement, or of a list of owners and ids.
SCOPED: Final = r"\b{}\.user_id = (?:\?|\$\d+|\w+\.user_id\b|users\.id\b)"


def unscoped(statement: str) -> list[str]:
    """Return the tables of users' rows that a statement touches without a condition on their owner."""
    names = [alias or table for table, alias in MENTIONED.findall(statement)]
    found = [name for name in names if not re.search(SCOPED.format(name), statement)]
    return found + [table for table, columns in INSERTED.findall(statement) if "user_id" not in columns.split(", ")]


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> dict[str, None]:
    """Give the statements of users' work."""
    statements: dict[str, None] = {}

    def hear(statement: str) -> None:
        if (workload := current_workload.get()) is not None and workload.user_id is not None:
            statements[statement] = None

    for module in ("core.query_runner", "core.transaction", "core.database"):
        monkeypatch.setattr(f"{module}.note_statement", hear)
    return statements


async def test_every_statement_on_users_rows_names_the_owner(
    client: GraphClient, server: RunningServer, database: Database, settings: Settings, heard: dict[str, None]
) -> None:
    user = await sign_in(database, settings, await make_user(database, is_admin=True, password_hash="unusable"))
    ids = await make_each_entity(database, user)
    for query in OPERATIONS:
        await run(server, user, query)
    for operation in sorted(operations(), key=lambda each: each.name == "signOut"):
        if operation.name == "deleteAccount":
            continue
        with_key = [place.variables("a key") for place in operation.places if place.path[-1] == "idempotencyKey"]
        given = map(json.dumps, [operation.least_variables, *with_key])
        for variables in {text.replace(SOME_ID, row_id) for text, row_id in itertools.product(given, ids.values())}:
            await client.execute(operation.document, json.loads(variables), as_=user)
        ids |= await make_each_entity(database, user)
    assert [statement for statement in heard if unscoped(statement)] == []
    assert {table for statement in heard for table in re.findall(OWNED, statement)} == {*OWNED.split("|")}


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("SELECT tasks.id FROM tasks WHERE tasks.id = ?", ["tasks"]),
        ("SELECT tasks.id FROM tasks WHERE tasks.user_id = $1::VARCHAR AND tasks.id = $2", []),
        ("SELECT 1 FROM tasks JOIN history AS h ON h.row_id = tasks.id WHERE tasks.user_id = ?", ["h"]),
        ("SELECT 1 FROM tasks JOIN history AS h ON h.user_id = tasks.user_id WHERE tasks.user_id = ?", []),
        ("UPDATE tasks SET title = ? WHERE tasks.id = ?", ["tasks"]),
        ("DELETE FROM messages WHERE messages.conversation_id = ?", ["messages"]),
        ("INSERT INTO tasks (id, title) VALUES (?, ?)", ["tasks"]),
    ],
)
def test_statement_without_an_owner_is_found(statement: str, found: list[str]) -> None:
    assert unscoped(statement) == found
