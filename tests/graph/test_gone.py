"""What goes while an operation reads: an error for the rows that it is missing of, and for no others."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from core.database import Database
from core.prepared_statement import PreparedStatement, Rows, Values
from core.settings import Settings
from services.conversations.conversations import conversations as conversation_service
from tests.factories import SignedIn, make_answered, make_conversation, sign_in
from tests.graph_client import GraphClient
from tests.servers import RunningServer

NODES = "query ($ids: [ID!]!) { nodes(ids: $ids) { id ... on Message { conversation { title } run { id } } } }"


@contextmanager
def deleting_before(server: RunningServer, table: str, user: SignedIn, conversation_id: str) -> Iterator[None]:
    """Delete a conversation once a table is about to be read."""
    database, fetch, waiting = server.runtime.database, server.runtime.database.reader.fetch, [conversation_id]

    async def deleting(statement: PreparedStatement, values: Values) -> Rows:
        sql = statement.compiled(database.engine.dialect).sql
        # Not by the statement that looks through all tables for what an id names, nor only to see what is gone.
        if re.search(rf"FROM {table}\b(?! AS)", sql) and "UNION" not in sql and waiting:
            gone = waiting.pop()
            await database.write(lambda session: conversation_service.delete(session, user.caller, gone))
        return await fetch(statement, values)

    with patch.object(database.reader, "fetch", deleting):
        yield
    assert not waiting


async def test_conversation_deleted_while_read_is_an_error_of_its_messages(
    server: RunningServer, client: GraphClient, database: Database, settings: Settings
) -> None:
    user = await sign_in(database, settings)
    talks = [await make_conversation(database, user.caller, f"{number}") for number in range(3)]
    said = [await make_answered(database, user, talk.id) for talk in talks for _ in range(2)]
    ids = [message.id for each in said for message in (each.message, each.reply)]
    with deleting_before(server, "conversations", user, talks[1].id):
        answer = await client.execute(NODES, {"ids": [*ids, ids[0]]}, as_=user)
    assert [error["path"] for error in answer.errors] == [["nodes", index, "conversation"] for index in range(4, 8)]
    assert {error["extensions"]["code"] for error in answer.errors} == {"NOT_FOUND"}
    assert {error["message"] for error in answer.errors} == {
        "The conversation was deleted while its messages were read; read them again."
    }
    nodes = answer.data["nodes"]
    assert nodes[4:8] == [None] * 4
    assert [node["conversation"]["title"] for node in nodes[:4]] == ["0"] * 4
    assert [node["run"] and node["run"]["id"] for node in nodes[:4]] == [None, said[0].run.id, None, said[1].run.id]
    assert nodes[-1] == nodes[0]


async def test_run_deleted_while_read_is_null(
    server: RunningServer, client: GraphClient, database: Database, settings: Settings
) -> None:
    user = await sign_in(database, settings)
    talks = [await make_conversation(database, user.caller) for _ in range(2)]
    replies = [(await make_answered(database, user, talk.id)).reply.id for talk in talks]
    query = "query ($ids: [ID!]!) { nodes(ids: $ids) { ... on Message { run { message { content } } } } }"
    with deleting_before(server, "runs", user, talks[0].id):
        answer = await client.execute(query, {"ids": replies}, as_=user)
    assert answer.require()["nodes"] == [{"run": None}, {"run": {"message": {"content": "Hello"}}}]
