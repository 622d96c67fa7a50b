"""sendMessage and regenerateReply: what they store, answer and refuse, with the offline model at work."""

import asyncio
from typing import Any, Final

from tests.resolvers.user_api import UserApi
from tests.waiting import until_so

SEND: Final = """mutation ($input: SendMessageInput!) { sendMessage(input: $input) {
    conversation { id title revision updatedAt lastMessage { id } messages { totalCount } }
    message { id content role status run { id } } reply { id content role status revision run { id status } }
    run { id status finishedAt message { id } reply { id } conversation { id } } errors { code message path }
} }"""
RUN: Final = "query ($id: ID!) { node(id: $id) { ... on Run { status toolCalls { id name arguments status } } } }"


async def send(api: UserApi, content: str, **given: Any) -> Any:
    return (await api.query(SEND, input={"content": content} | given))["sendMessage"]


async def settle(api: UserApi, run_id: str) -> None:
    """Return once the run has ended well."""

    async def has_ended() -> bool:
        return (await api.query(RUN, id=run_id))["node"]["status"] == "COMPLETED"

    await until_so(has_ended)


async def test_send_message_starts_a_conversation(api: UserApi) -> None:
    answer = await send(api, "add buy milk")
    assert answer["errors"] == []
    talk, message, reply, run = (answer[name] for name in ("conversation", "message", "reply", "run"))
    assert (talk["title"], talk["lastMessage"], talk["messages"]) == (
        "add buy milk",
        {"id": reply["id"]},
        {"totalCount": 2},
    )
    said = {"content": "add buy milk", "role": "USER", "status": "COMPLETE", "run": None}
    assert message == said | {"id": message["id"]}
    assert (reply["role"], reply["status"], "buy milk" in reply["content"]) == ("ASSISTANT", "COMPLETE", True)
    assert reply["run"] == {"id": run["id"], "status": "COMPLETED"}
    for name, row in (("message", message), ("reply", reply), ("conversation", talk)):
        assert run[name] == {"id": row["id"]}
    # The reply that is complete is a change of its conversation.
    assert (talk["revision"], talk["updatedAt"]) == (reply["revision"], run["finishedAt"])
    assert await api.query("{ tasks { nodes { title } } }") == {"tasks": {"nodes": [{"title": "buy milk"}]}}


async def test_send_message_continues_a_conversation_and_waits_only_if_asked(api: UserApi) -> None:
    talk = await api.conversation()
    answer = await send(api, "add buy milk", conversationId=talk.id.upper(), wait=False)
    assert (answer["errors"], answer["message"]["content"]) == ([], "add buy milk")
    assert (answer["conversation"]["id"], answer["conversation"]["title"]) == (talk.id, "Plans")
    assert answer["run"]["status"] in {"QUEUED", "RUNNING"}
    await settle(api, answer["run"]["id"])
    again = await send(api, "what is open?", conversationId=talk.id)
    assert again["conversation"]["messages"]["totalCount"] == 4
    assert "buy milk" in again["reply"]["content"]


async def test_repeated_idempotency_key_starts_one_run(api: UserApi) -> None:
    first, second = await asyncio.gather(*(send(api, "add buy milk", idempotencyKey="once") for _ in range(2)))
    assert first == second == await send(api, "add buy milk", idempotencyKey="once", wait=False)
    counts = await api.query("{ tasks { totalCount } conversations { totalCount } }")
    assert counts == {"tasks": {"totalCount": 1}, "conversations": {"totalCount": 1}}
    refused = await api.refused("sendMessage", content="add bread", idempotencyKey="once")
    assert refused[:2] == ("CONFLICT", "input.idempotencyKey")


async def test_invalid_send_message_is_refused_without_a_trace(api: UserApi) -> None:
    talk = await api.conversation()
    cases = [
        ("content", "", "content is empty; write something."),
        ("content", " \n", "content is empty; write something."),
        ("content", "x" * 100_001, "content must be 1 to 100000 characters long; it has 100001."),
        ("timeZone", "Mars/Olympus", "'Mars/Olympus' is no time zone; write a name such as "),
        ("timeZone", "", "'' is no time zone; "),
        ("timeZone", "../../etc/passwd", "'../../etc/passwd' is no time zone; "),
        ("timeZone", "x" * 100_000, f"'{'x' * 60}' is no time zone; "),
        ("timeZone", "\0", ""),
        ("idempotencyKey", "x" * 201, ""),
    ]
    async with api.unchanged():
        for name, value, message in cases:
            for place in ({}, {"conversationId": talk.id}):
                code, path, why = await api.refused("sendMessage", **{"content": "hello"} | place | {name: value})
                assert (code, path, why[: len(message)]) == ("BAD_USER_INPUT", f"input.{name}", message)


async def test_regenerate_reply_answers_the_message_again(api: UserApi) -> None:
    first = await send(api, "what is open?")
    talk_id, message_id = first["conversation"]["id"], first["message"]["id"]
    await api.task("Sweep")
    for named in (first["reply"]["id"], message_id):
        again = await api.ok("regenerateReply", messageId=named)
        assert (again["message"]["id"], again["conversation"]["id"]) == (message_id, talk_id)
        assert "Sweep" in again["reply"]["content"]
        assert again["reply"]["id"] != first["reply"]["id"]
    query = "query ($id: ID!) { conversation(id: $id) { messages { nodes { role } } } }"
    roles = [node["role"] for node in (await api.query(query, id=talk_id))["conversation"]["messages"]["nodes"]]
    assert roles == ["USER"] + ["ASSISTANT"] * 3


async def test_regenerate_reply_takes_messages_of_the_user_and_of_runs_only(api: UserApi) -> None:
    talk = await api.conversation()
    message = await api.message(talk.id, "add buy milk")
    assert (await api.ok("regenerateReply", messageId=message.id))["run"]["status"] == "COMPLETED"
    stored = (await api.ok("addMessage", conversationId=talk.id, content="Hello", role="ASSISTANT"))["message"]
    why = "No run of the assistant wrote this message; name the one to be answered."
    assert await api.refused("regenerateReply", messageId=stored["id"]) == ("BAD_USER_INPUT", "input.messageId", why)
