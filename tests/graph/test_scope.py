"""Statements that are kept for all callers: each scoped to the one who asks, none with anything of another's in it."""

import asyncio
import re
from typing import Any, Final

from sqlmodel import SQLModel

from core.database import Database
from core.settings import Settings
from tests.factories import SignedIn, make_answered, make_conversation, make_task, make_user, sign_in
from tests.graph.conftest import House
from tests.graph.operations import run
from tests.graph.test_statement_counts import OPERATIONS
from tests.graph_client import GraphClient
from tests.servers import RunningServer

QUERIES: Final = [query for query, count in OPERATIONS.items() if count]
OWNED: Final = [table.name for table in SQLModel.metadata.sorted_tables if "user_id" in table.c]
FROM_OWNED: Final = re.compile(rf"\b(?:FROM|JOIN) (?:{'|'.join(OWNED)})\b")
SCOPED: Final = re.compile(r"\buser_id = (?:\?|\$\d+::)")
ANSWERS: Final = """{
    runs: nodes(ids: %s) { id ... on Run {
        toolCalls { id name result run { id } } message { content conversation { title } } reply { id run { id } }
    } }
    tasks { nodes { id title history { nodes { fields { after } run { id } toolCall { id } } } } }
    viewer { id accessTokens { id } conversations { nodes { lastMessage { run { toolCalls { id } } } } } }
}"""


async def test_every_statement_on_owned_rows_names_the_owner(server: RunningServer, one_of_each: House) -> None:
    for query in QUERIES:
        for statement in (await run(server, one_of_each.owner, query)).statements:
            assert one_of_each.owner.user.id not in statement
            assert len(SCOPED.findall(statement)) >= len(FROM_OWNED.findall(statement)), statement


async def furnish(database: Database, settings: Settings, *, is_admin: bool) -> tuple[SignedIn, list[str]]:
    """Return a user with something of everything, and the ids of their runs."""
    user = await sign_in(database, settings, await make_user(database, is_admin=is_admin))
    talk = await make_conversation(database, user.caller, f"Plans of {user.user.id}")
    answered = [await make_answered(database, user, talk.id, 2) for _ in range(2)]
    await make_task(database, user.caller, f"Task of {user.user.id}")
    return user, [each.run.id for each in answered]


async def test_concurrent_callers_get_their_own_rows(
    client: GraphClient, database: Database, settings: Settings
) -> None:
    houses = [await furnish(database, settings, is_admin=number == 0) for number in range(4)]
    every_id = [run_id for _, run_ids in houses for run_id in run_ids]
    # The same text for all, so that plans and statements are shared: each asks for the others' runs as well.
    query = ANSWERS % str(every_id).replace("'", '"')

    async def ask(user: SignedIn) -> Any:
        return await client.query(query, as_=user)

    alone = [await ask(user) for user, _ in houses]
    together = await asyncio.gather(*(ask(user) for _ in range(5) for user, _ in houses))
    assert together == alone * 5
    for answer, (user, run_ids) in zip(alone, houses, strict=True):
        assert [each and each["id"] for each in answer["runs"]] == [
            each if each in run_ids else None for each in every_id
        ]
        others = {other.user.id for other, _ in houses} - {user.user.id}
        assert not any(other in str(answer) for other in others)
