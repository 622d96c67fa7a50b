"""Many writers at once: who wins, and the counter that has no gap."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from typing import Any

import httpx2

from core.database import Database
from core.settings import Settings
from server.app import create_app
from tests.factories import SignedIn, make_conversation, make_task, make_user, sign_in
from tests.graph_client import GraphClient, mutation
from tests.servers import serve
from tests.state import State, state_of
from tests.waiting import PATIENCE_S


def codes(payloads: Iterable[dict[str, Any]]) -> Counter[str]:
    """Count the payloads by the code of their error."""
    return Counter(payload["errors"][0]["code"] if payload["errors"] else "OK" for payload in payloads)


def assert_no_gap(before: State, after: State, winners: int) -> None:
    """Check that each change that was made has taken one revision, and nothing else has."""
    assert after.revision == before.revision + winners
    assert set(after.stamps) <= set(range(1, after.revision + 1))


async def test_fifty_updates_through_two_servers_are_serialized(
    client: GraphClient, settings: Settings, database: Database, user: SignedIn
) -> None:
    task = await make_task(database, user.caller)
    before = await state_of(database, user.user.id)
    given = {"id": task.id, "expectedRevision": task.revision}
    async with (
        serve(create_app(settings)) as second,
        httpx2.AsyncClient(base_url=second.url, timeout=PATIENCE_S) as http,
    ):
        clients = (client, GraphClient(http))
        names = ("toggleTask", "updateTask", "deleteTask")
        payloads = await asyncio.gather(
            *(
                clients[index % 2].mutate(names[index % 3], given | title(names[index % 3]), as_=user)
                for index in range(50)
            )
        )
    counted = codes(payloads)
    assert counted["OK"] == 1
    assert counted["OK"] + counted["CONFLICT"] + counted["NOT_FOUND"] == 50
    assert_no_gap(before, await state_of(database, user.user.id), winners=1)


def title(name: str) -> dict[str, str]:
    return {"title": "New"} if name == "updateTask" else {}


async def test_mixed_mutations_at_once_keep_the_state_consistent(
    client: GraphClient, database: Database, user: SignedIn
) -> None:
    tasks = [await make_task(database, user.caller) for _ in range(10)]
    conversation = await make_conversation(database, user.caller)
    before = await state_of(database, user.user.id)
    changes: list[tuple[str, dict[str, Any]]] = [
        *(("toggleTask", {"id": task.id}) for task in tasks[:5]),
        *(("deleteTask", {"id": task.id}) for task in tasks[5:]),
        *(("addMessage", {"conversationId": conversation.id, "content": str(number)}) for number in range(10)),
        *(("createTasks", {"tasks": [{"title": "a"}, {"title": "b"}]}) for _ in range(5)),
        *(("createTask", {"title": " "}) for _ in range(5)),
        *(("updateTask", {"id": tasks[0].id}) for _ in range(5)),
    ]
    payloads = await asyncio.gather(*(client.mutate(name, given, as_=user) for name, given in changes))
    assert codes(payloads) == {"OK": 30, "BAD_USER_INPUT": 5}
    after = await state_of(database, user.user.id)
    assert_no_gap(before, after, winners=25)
    # The conversation bears the number of the last message; all the others are borne by what they changed.
    assert set(range(12, 37)) <= set(after.stamps)


async def test_concurrent_moves_make_no_circle(client: GraphClient, database: Database, user: SignedIn) -> None:
    for _ in range(5):
        one, other = [await make_task(database, user.caller) for _ in range(2)]
        payloads = await asyncio.gather(
            client.mutate("updateTask", {"id": one.id, "parentId": other.id}, as_=user),
            client.mutate("updateTask", {"id": other.id, "parentId": one.id}, as_=user),
        )
        assert codes(payloads) == {"OK": 1, "BAD_USER_INPUT": 1}


async def test_subtask_created_while_its_parent_is_deleted(
    client: GraphClient, database: Database, user: SignedIn
) -> None:
    for _ in range(5):
        parent = await make_task(database, user.caller)
        made, deleted = await asyncio.gather(
            client.mutate("createTask", {"title": "x", "parentId": parent.id}, as_=user),
            client.mutate("deleteTask", {"id": parent.id}, as_=user),
        )
        assert deleted["errors"] == []
        state = await state_of(database, user.user.id)
        assert state.rows == {}
        if not made["errors"]:
            assert deleted["deletedIds"] == [parent.id, made["task"]["id"]]


async def test_admins_deactivating_each_other_leave_one_active(
    client: GraphClient, database: Database, settings: Settings
) -> None:
    for name, rest in (("setUserActive", {"isActive": False}), ("deleteUser", {})):
        for _ in range(5):
            one, other = [await sign_in(database, settings, await make_user(database, is_admin=True)) for _ in range(2)]
            answers = await asyncio.gather(
                client.execute(mutation(name), {"input": {"id": other.user.id} | rest}, as_=one),
                client.execute(mutation(name), {"input": {"id": one.user.id} | rest}, as_=other),
            )
            # A late request is refused before or during its execution.
            late = {code for answer in answers for code in answer.codes}
            counted = codes(answer.data[name] for answer in answers if answer.data)
            assert counted["OK"] >= 1
            assert late | counted.keys() <= {"OK", "FORBIDDEN", "UNAUTHENTICATED"}


async def test_account_deleted_while_it_is_written_to(
    client: GraphClient, database: Database, settings: Settings, admin: SignedIn
) -> None:
    user = await sign_in(database, settings)
    query = """mutation { createTask(input: {title: "x"}) {
        task { owner { id } subtasks { totalCount } parent { id } } errors { code }
    } }"""
    creating = [asyncio.create_task(client.execute(query, as_=user)) for _ in range(20)]
    await asyncio.sleep(0.05)
    assert (await client.mutate("deleteUser", {"id": user.user.id}, as_=admin))["errors"] == []
    for answer in await asyncio.gather(*creating):
        assert set(answer.codes) <= {"UNAUTHENTICATED"}


async def test_conversation_deleted_while_messages_are_added(
    client: GraphClient, database: Database, user: SignedIn
) -> None:
    query = """mutation ($input: AddMessageInput!) { addMessage(input: $input) {
        message { conversation { title messages { nodes { conversation { id } } } } } errors { code }
    } }"""
    for _ in range(3):
        talk = await make_conversation(database, user.caller)
        given = {"input": {"conversationId": talk.id, "content": "Hello"}}
        speaking = [asyncio.create_task(client.execute(query, given, as_=user)) for _ in range(8)]
        await asyncio.sleep(0.02)
        deleted = await client.mutate("deleteConversation", {"id": talk.id}, as_=user)
        assert deleted["errors"] == []
        for answer in await asyncio.gather(*speaking):
            assert set(answer.codes) <= {"NOT_FOUND"}
    assert (await state_of(database, user.user.id)).rows == {}
