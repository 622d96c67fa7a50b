"""Many writers at once: who wins, and the counter that has no gap."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from typing import Any

import httpx2

from core.settings import Settings
from tests.factories import SignedIn
from tests.graph_client import GraphClient
from tests.resolvers.user_api import UserApi
from tests.servers import serve_with
from tests.state import State
from tests.waiting import PATIENCE_S


def codes(payloads: Iterable[dict[str, Any]]) -> Counter[str]:
    return Counter(payload["errors"][0]["code"] if payload["errors"] else "OK" for payload in payloads)


def assert_no_gap(before: State, after: State, winners: int) -> None:
    """Check that each change that was made has taken one revision, and nothing else has."""
    assert after.revision == before.revision + winners
    assert set(after.stamps) <= set(range(1, after.revision + 1))


async def test_fifty_updates_through_two_servers_are_serialized(api: UserApi, settings: Settings) -> None:
    task = await api.task()
    before = await api.state()
    given = {"id": task.id, "expectedRevision": task.revision}
    changes = (("toggleTask", given), ("updateTask", given | {"title": "New"}), ("deleteTask", given))
    async with serve_with(settings) as second, httpx2.AsyncClient(base_url=second.url, timeout=PATIENCE_S) as http:
        clients = (api.client, GraphClient(http))
        sent = (clients[index % 2].mutate(*changes[index % 3], as_=api.user) for index in range(50))
        counted = codes(await asyncio.gather(*sent))
    assert counted["OK"] == 1
    assert counted["OK"] + counted["CONFLICT"] + counted["NOT_FOUND"] == 50
    assert_no_gap(before, await api.state(), winners=1)


async def test_mixed_mutations_at_once_keep_the_state_consistent(api: UserApi) -> None:
    tasks = [await api.task() for _ in range(10)]
    talk = await api.conversation()
    before = await api.state()
    changes: list[tuple[str, dict[str, Any]]] = [
        *(("toggleTask", {"id": task.id}) for task in tasks[:5]),
        *(("deleteTask", {"id": task.id}) for task in tasks[5:]),
        *(("addMessage", {"conversationId": talk.id, "content": str(number)}) for number in range(10)),
        *[("createTasks", {"tasks": [{"title": "a"}, {"title": "b"}]})] * 5,
        *[("createTask", {"title": " "})] * 5,
        *[("updateTask", {"id": tasks[0].id})] * 5,
    ]
    payloads = await asyncio.gather(*(api.mutate(name, **given) for name, given in changes))
    assert codes(payloads) == {"OK": 30, "BAD_USER_INPUT": 5}
    after = await api.state()
    assert_no_gap(before, after, winners=25)
    # The conversation bears the number of the last message; all the others are borne by what they changed.
    assert set(range(12, 37)) <= set(after.stamps)


async def test_concurrent_moves_make_no_circle(api: UserApi) -> None:
    for _ in range(5):
        ids = [(await api.task()).id for _ in range(2)]
        pairs = (ids, ids[::-1])
        moved = await asyncio.gather(*(api.mutate("updateTask", id=one, parentId=other) for one, other in pairs))
        assert codes(moved) == {"OK": 1, "BAD_USER_INPUT": 1}


async def test_subtask_created_while_its_parent_is_deleted(api: UserApi) -> None:
    for _ in range(5):
        parent = await api.task()
        made, deleted = await asyncio.gather(
            api.mutate("createTask", title="x", parentId=parent.id), api.ok("deleteTask", id=parent.id)
        )
        assert (await api.state()).rows == {}
        if not made["errors"]:
            assert deleted["deletedIds"] == [parent.id, made["task"]["id"]]


async def test_account_deleted_while_it_is_written_to(api: UserApi, admin: SignedIn) -> None:
    query = """mutation { createTask(input: {title: "x"}) {
        task { owner { id } subtasks { totalCount } parent { id } } errors { code }
    } }"""
    creating = [asyncio.create_task(api.execute(query)) for _ in range(20)]
    await asyncio.sleep(0.05)
    await api.as_(admin).ok("deleteUser", id=api.user_id)
    for answer in await asyncio.gather(*creating):
        assert set(answer.codes) <= {"UNAUTHENTICATED"}


async def test_conversation_deleted_while_messages_are_added(api: UserApi) -> None:
    query = """mutation ($input: AddMessageInput!) { addMessage(input: $input) {
        message { conversation { title messages { nodes { conversation { id } } } } } errors { code }
    } }"""
    for _ in range(3):
        given = {"conversationId": (await api.conversation()).id, "content": "Hello"}
        speaking = [asyncio.create_task(api.execute(query, input=given)) for _ in range(8)]
        await asyncio.sleep(0.02)
        await api.ok("deleteConversation", id=given["conversationId"])
        for answer in await asyncio.gather(*speaking):
            assert set(answer.codes) <= {"NOT_FOUND"}
    assert (await api.state()).rows == {}
