"""sendMessage and regenerateReply: what they store, answer and refuse, with the offline model at work."""

import asyncio
from typing import Any, Final

from core.database import Database
from tests.event_client import open_events
from tests.factories import SignedIn, make_conversation, make_message, make_task
from tests.graph_client import GraphClient, refusal
from tests.servers import RunningServer
from tests.socket_client import signed_in_socket
from tests.state import state_of
from tests.waiting import PATIENCE_S

SEND: Final = """mutation ($input: SendMessageInput!) { sendMessage(input: $input) {
    conversation { id title lastMessage { id } messages { totalCount } }
    message { id content role status run { id } } reply { id content role status run { id status } }
    run { id status message { id } reply { id } conversation { id } } errors { code message path }
} }"""


async def send(client: GraphClient, user: SignedIn, content: str, **given: Any) -> Any:
    return (await client.query(SEND, {"input": {"content": content} | given}, as_=user))["sendMessage"]


async def test_send_message_starts_a_conversation(client: GraphClient, user: SignedIn) -> None:
    answer = await send(client, user, "add buy milk")
    assert answer["errors"] == []
    conversation, message, reply, run = (answer[name] for name in ("conversation", "message", "reply", "run"))
    assert conversation == {
        "id": conversation["id"],
        "title": "add buy milk",
        "lastMessage": {"id": reply["id"]},
        "messages": {"totalCount": 2},
    }
    assert message == {
        "id": message["id"],
        "content": "add buy milk",
        "role": "USER",
        "status": "COMPLETE",
        "run": None,
    }
    assert (reply["role"], reply["status"]) == ("ASSISTANT", "COMPLETE")
    assert "buy milk" in reply["content"]
    assert reply["run"] == {"id": run["id"], "status": "COMPLETED"}
    assert run == {
        "id": run["id"],
        "status": "COMPLETED",
        "message": {"id": message["id"]},
        "reply": {"id": reply["id"]},
        "conversation": {"id": conversation["id"]},
    }
    tasks = await client.query("{ tasks { nodes { title } } }", as_=user)
    assert tasks == {"tasks": {"nodes": [{"title": "buy milk"}]}}


async def test_send_message_continues_a_conversation(client: GraphClient, database: Database, user: SignedIn) -> None:
    conversation = await make_conversation(database, user.caller)
    answer = await send(client, user, "add buy milk", conversationId=conversation.id.upper())
    assert (answer["errors"], answer["conversation"]["id"]) == ([], conversation.id)
    assert answer["conversation"]["title"] == "Plans"
    again = await send(client, user, "what is open?", conversationId=conversation.id)
    assert again["conversation"]["messages"]["totalCount"] == 4
    assert "buy milk" in again["reply"]["content"]


async def test_send_message_without_wait_returns_at_once(client: GraphClient, user: SignedIn) -> None:
    answer = await send(client, user, "add buy milk", wait=False)
    assert (answer["errors"], answer["message"]["content"]) == ([], "add buy milk")
    assert answer["run"]["status"] in {"QUEUED", "RUNNING"}
    await settled(client, user, answer["run"]["id"])


async def settled(client: GraphClient, user: SignedIn, run_id: str) -> Any:
    """Return the run once it has ended."""
    query = "query ($id: ID!) { node(id: $id) { ... on Run { status reply { content status } } } }"
    async with asyncio.timeout(PATIENCE_S):
        while True:
            node = (await client.query(query, {"id": run_id}, as_=user))["node"]
            if node["status"] not in {"QUEUED", "RUNNING"}:
                return node
            await asyncio.sleep(0.01)


async def test_finished_reply_updates_its_conversation(client: GraphClient, user: SignedIn) -> None:
    query = """mutation ($input: SendMessageInput!) { sendMessage(input: $input) {
        conversation { revision messagesCursor updatedAt } reply { revision } run { finishedAt }
    } }"""
    answer = (await client.query(query, {"input": {"content": "hello"}}, as_=user))["sendMessage"]
    assert answer["conversation"]["revision"] == answer["reply"]["revision"]
    assert answer["conversation"]["updatedAt"] == answer["run"]["finishedAt"]


async def test_repeated_idempotency_key_starts_one_run(client: GraphClient, user: SignedIn) -> None:
    first, second = await asyncio.gather(*(send(client, user, "add buy milk", idempotencyKey="once") for _ in range(2)))
    assert first == second
    third = await send(client, user, "add buy milk", idempotencyKey="once", wait=False)
    assert third == first
    tasks = await client.query("{ tasks { totalCount } conversations { totalCount } }", as_=user)
    assert tasks == {"tasks": {"totalCount": 1}, "conversations": {"totalCount": 1}}
    other = await client.mutate("sendMessage", {"content": "add bread", "idempotencyKey": "once"}, as_=user)
    assert refusal(other)[:2] == ("CONFLICT", "input.idempotencyKey")


REFUSED: Final[list[tuple[dict[str, Any], str, str]]] = [
    ({"content": ""}, "input.content", "content is empty; write something."),
    ({"content": " \n"}, "input.content", "content is empty; write something."),
    (
        {"content": "x" * 100_001},
        "input.content",
        "content must be 1 to 100000 characters long; it has 100001.",
    ),
    ({"timeZone": "Mars/Olympus"}, "input.timeZone", "'Mars/Olympus' is no time zone; write a name such as "),
    ({"timeZone": ""}, "input.timeZone", "'' is no time zone; "),
    ({"timeZone": "../../etc/passwd"}, "input.timeZone", "'../../etc/passwd' is no time zone; "),
    ({"timeZone": "x" * 100_000}, "input.timeZone", f"'{'x' * 60}' is no time zone; "),
    ({"timeZone": "\0"}, "input.timeZone", ""),
    ({"idempotencyKey": "x" * 201}, "input.idempotencyKey", ""),
]


async def test_invalid_send_message_is_refused_without_a_trace(
    client: GraphClient, database: Database, user: SignedIn
) -> None:
    conversation = await make_conversation(database, user.caller)
    before = await state_of(database, user.user.id)
    for given, path, message in REFUSED:
        for place in ({}, {"conversationId": conversation.id}):
            payload = await client.mutate("sendMessage", {"content": "hello"} | place | given, as_=user)
            code, where, why = refusal(payload)
            assert (code, where, why[: len(message)]) == ("BAD_USER_INPUT", path, message)
    assert await state_of(database, user.user.id) == before


async def test_regenerate_reply_answers_the_message_again(
    client: GraphClient, database: Database, user: SignedIn
) -> None:
    first = await send(client, user, "what is open?")
    await make_task(database, user.caller, "Sweep")
    for named in (first["reply"]["id"], first["message"]["id"]):
        again = await client.mutate("regenerateReply", {"messageId": named}, as_=user)
        assert (again["errors"], again["message"]["id"]) == ([], first["message"]["id"])
        assert "Sweep" in again["reply"]["content"]
        assert again["conversation"]["id"] == first["conversation"]["id"]
        assert again["reply"]["id"] != first["reply"]["id"]
    query = "query ($id: ID!) { conversation(id: $id) { messages { nodes { role } } } }"
    said = await client.query(query, {"id": first["conversation"]["id"]}, as_=user)
    assert [node["role"] for node in said["conversation"]["messages"]["nodes"]] == ["USER"] + ["ASSISTANT"] * 3


async def test_regenerate_reply_answers_an_added_message(
    client: GraphClient, database: Database, user: SignedIn
) -> None:
    conversation = await make_conversation(database, user.caller)
    message = await make_message(database, user.caller, conversation.id, "add buy milk")
    answer = await client.mutate("regenerateReply", {"messageId": message.id}, as_=user)
    assert (answer["errors"], answer["run"]["status"]) == ([], "COMPLETED")


async def test_regenerate_reply_of_a_message_without_a_run_is_refused(
    client: GraphClient, database: Database, user: SignedIn
) -> None:
    conversation = await make_conversation(database, user.caller)
    given = {"conversationId": conversation.id, "content": "Hello", "role": "ASSISTANT"}
    stored = await client.mutate("addMessage", given, as_=user)
    refused = await client.mutate("regenerateReply", {"messageId": stored["message"]["id"]}, as_=user)
    message = "No run of the assistant wrote this message; name the one to be answered."
    assert refusal(refused) == ("BAD_USER_INPUT", "input.messageId", message)


async def test_deletion_waits_for_approval(client: GraphClient, database: Database, user: SignedIn) -> None:
    task = await make_task(database, user.caller, "Sweep")
    answer = await send(client, user, "delete sweep")
    assert (answer["run"]["status"], answer["reply"]["status"]) == ("AWAITING_APPROVAL", "STREAMING")
    query = "query ($id: ID!) { node(id: $id) { ... on Run { toolCalls { id name arguments status } } } }"
    calls = (await client.query(query, {"id": answer["run"]["id"]}, as_=user))["node"]["toolCalls"]
    waiting = calls[-1]
    assert (waiting["name"], waiting["arguments"]["task_id"]) == ("delete_task", task.id)
    busy = await client.mutate(
        "sendMessage", {"conversationId": answer["conversation"]["id"], "content": "x"}, as_=user
    )
    assert refusal(busy)[:2] == ("CONFLICT", "input.conversationId")
    await client.mutate("resolveToolCall", {"id": waiting["id"], "approve": True}, as_=user)
    assert (await settled(client, user, answer["run"]["id"]))["status"] == "COMPLETED"
    assert await client.query("{ tasks { totalCount } }", as_=user) == {"tasks": {"totalCount": 0}}


async def test_send_message_over_websocket_and_event_stream(server: RunningServer, user: SignedIn) -> None:
    async with signed_in_socket(server, user.token) as socket:
        result = await socket.result(SEND, {"input": {"content": "add buy milk"}})
        assert result["data"]["sendMessage"]["run"]["status"] == "COMPLETED"
    async with open_events(server, SEND, {"input": {"content": "add bread"}}, token=user.token) as events:
        assert (await events.data())["sendMessage"]["run"]["status"] == "COMPLETED"
        await events.complete()
