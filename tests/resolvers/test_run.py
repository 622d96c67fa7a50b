"""sendMessage, regenerateReply, and the runs that answer: what is stored, shown, refused, cancelled and decided."""

import asyncio
from typing import Any, Final

from models import MessageStatus, Run, RunStatus, ToolCall, ToolCallStatus
from models.columns import Kind, public_columns
from tests.factories import Answered, answered_rows, make_answered, store_answered, tool_call_row
from tests.resolvers.user_api import UserApi
from tests.waiting import until_so

FIELDS_OF: Final = {
    model: " ".join(["id", *(each.api_name for each in public_columns(model) if each.kind is not Kind.REFERENCE)])
    for model in (Run, ToolCall)
}
RUN: Final = f"""query ($id: ID!) {{ node(id: $id) {{ ... on Run {{
    {FIELDS_OF[Run]} toolCalls {{ {FIELDS_OF[ToolCall]} run {{ id }} }}
    conversation {{ title }} message {{ content role run {{ id }} }} reply {{ content status run {{ id }} }}
}} }} }}"""
WAITING: Final = {"status": ToolCallStatus.AWAITING_APPROVAL, "name": "delete_task", "result": None}


async def run_with(api: UserApi, calls: list[dict[str, Any]], **values: Any) -> Answered:
    answered = answered_rows(api.user, (await api.conversation()).id, **values)
    for position, given in enumerate(calls):
        answered.calls.append(tool_call_row(answered.run, **{"position": position} | given))
    await store_answered(api.database, answered)
    return answered


async def paused(api: UserApi) -> Answered:
    """Let a run wait for the approval of two tool calls."""
    return await run_with(api, [WAITING] * 2, status=RunStatus.AWAITING_APPROVAL, state="{}")


async def read(api: UserApi, answered: Answered) -> Any:
    return (await api.query(RUN, id=answered.run.id.upper()))["node"]


def shown(row: Run | ToolCall, **others: Any) -> dict[str, Any]:
    columns = [column for column in public_columns(type(row)) if column.kind is not Kind.REFERENCE]
    values = {column.api_name: getattr(row, column.name) for column in columns}
    moments = {column.api_name: values[column.api_name] for column in columns if column.kind is Kind.MOMENT}
    return {"id": row.id} | values | {name: moment and moment.isoformat() for name, moment in moments.items()} | others


async def test_run_shows_all_its_fields(api: UserApi) -> None:
    talk = await api.conversation()
    answered = await make_answered(api.database, api.user, talk.id, 2, input_tokens=120, output_tokens=7)
    run_id = {"id": answered.run.id}
    node = await read(api, answered)
    assert (node["status"], node["inputTokens"], node["revision"], node["undoneAt"]) == ("COMPLETED", 120, 2, None)
    assert node == shown(
        answered.run,
        conversation={"title": "Plans"},
        message={"content": "Hello", "role": "USER", "run": None},
        reply={"content": "Done.", "status": "COMPLETE", "run": run_id},
        toolCalls=[shown(call, run=run_id) for call in answered.calls],
    )


async def test_tool_calls_are_ordered_by_position_and_show_any_json(api: UserApi) -> None:
    values: list[Any] = [
        *(None, True, 0, -1.5, "text", "\N{ROCKET} \\ \" ' \u202e"),
        *([], {}, {"a": [{"b": None}, 2**53]}, [[[[]]]]),
    ]
    given = [{"position": 9 - at, "arguments": {"given": value}, "result": value} for at, value in enumerate(values)]
    calls = (await read(api, await run_with(api, given)))["toolCalls"]
    assert [(call["arguments"], call["result"]) for call in calls] == [({"given": each}, each) for each in values[::-1]]


async def test_deleted_conversation_deletes_its_runs(api: UserApi) -> None:
    gone, kept = [await api.conversation() for _ in range(2)]
    doomed, spared = [await make_answered(api.database, api.user, each.id, 2) for each in (gone, kept)]
    deleted = await api.ok("deleteConversation", id=gone.id)
    kinds = dict.fromkeys((doomed.message.id, doomed.reply.id), "MESSAGE") | {gone.id: "CONVERSATION"}
    kinds |= {doomed.run.id: "RUN"} | dict.fromkeys((call.id for call in doomed.calls), "TOOL_CALL")
    assert deleted["deletedIds"] == [gone.id, *sorted(kinds.keys() - {gone.id})]
    state = await api.state()
    assert {row.id: (row.kind, row.revision) for row in state.deletions.values()} == {
        row_id: (kind, 5) for row_id, kind in kinds.items()
    }
    rows = (kept, spared.message, spared.reply, spared.run, *spared.calls)
    assert set(state.rows) == {row.id for row in rows}


async def test_cancel_run_ends_run_reply_and_calls(api: UserApi) -> None:
    answered = await paused(api)
    ended = (await api.ok("cancelRun", id=answered.run.id.upper()))["run"]
    assert (ended["status"], ended["error"]) == ("CANCELLED", None)
    assert ended["finishedAt"] is not None
    state = await api.state()
    run = state.rows[answered.run.id]
    assert (run.status, run.state, run.lease_until) == (RunStatus.CANCELLED, None, None)
    assert state.rows[answered.reply.id].status is MessageStatus.CANCELLED
    assert {state.rows[call.id].status for call in answered.calls} == {ToolCallStatus.REJECTED}
    changed = (answered.run, answered.reply, *answered.calls)
    assert {state.rows[row.id].revision for row in changed} == {state.revision}
    async with api.unchanged():
        for name, row_id, given, message in (
            ("cancelRun", answered.run.id, {}, "This run has ended already."),
            (
                *("resolveToolCall", answered.calls[0].id, {"approve": True}),
                "This tool call does not wait for approval, or no longer.",
            ),
        ):
            late = await api.mutate(name, id=row_id, **given)
            assert late["run"] == ended
            assert [(error["code"], error["message"]) for error in late["errors"]] == [("CONFLICT", message)]


async def test_mutation_reads_the_changes_of_the_one_before(api: UserApi) -> None:
    answered = await paused(api)
    query = """mutation ($run: ID!, $call: ID!) {
        decided: resolveToolCall(input: {id: $call, approve: false}) { run { ...Seen } }
        cancelled: cancelRun(input: {id: $run}) { run { ...Seen } }
    }
    fragment Seen on Run { status reply { status } toolCalls { status } }"""
    seen = await api.query(query, run=answered.run.id, call=answered.calls[0].id)
    for name, status, reply, calls in (
        ("decided", "AWAITING_APPROVAL", "STREAMING", ["REJECTED", "AWAITING_APPROVAL"]),
        ("cancelled", "CANCELLED", "CANCELLED", ["REJECTED", "REJECTED"]),
    ):
        run = {"status": status, "reply": {"status": reply}, "toolCalls": [{"status": each} for each in calls]}
        assert seen[name] == {"run": run}


SEND: Final = """mutation ($input: SendMessageInput!) { sendMessage(input: $input) {
    conversation { id title revision updatedAt lastMessage { id } messages { totalCount } }
    message { id content role status run { id } } reply { id content role status revision run { id status } }
    run { id status finishedAt message { id } reply { id } conversation { id } } errors { code message path }
} }"""


async def send(api: UserApi, content: str, **given: Any) -> Any:
    return (await api.query(SEND, input={"content": content} | given))["sendMessage"]


async def settle(api: UserApi, run_id: str) -> None:
    """Return once the run has ended well."""

    async def has_ended() -> bool:
        return bool((await api.query(RUN, id=run_id))["node"]["status"] == "COMPLETED")

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
