"""Runs and their tool calls: read by id and as changes, cancelled and decided on, and gone with their conversation."""

from typing import Any, Final

import pytest

from core.database import Database
from models import MessageStatus, RunStatus, ToolCallStatus
from tests.factories import (
    Answered,
    SignedIn,
    answered_rows,
    make_answered,
    make_conversation,
    make_message,
    store_answered,
    tool_call_row,
)
from tests.graph_client import GraphClient
from tests.state import state_of

RUN: Final = """query ($id: ID!) { node(id: $id) { __typename id ... on Run {
    status model inputTokens outputTokens error revision createdAt finishedAt undoneAt
    conversation { title } message { content role run { id } } reply { content status run { id } }
    toolCalls { id name arguments result status revision createdAt run { id } }
} } }"""
WAITING: Final = {"status": ToolCallStatus.AWAITING_APPROVAL, "name": "delete_task", "result": None}


async def paused(database: Database, user: SignedIn, calls: int) -> Answered:
    """Let a run wait for the approval of so many tool calls."""
    conversation = await make_conversation(database, user.caller)
    answered = answered_rows(user, conversation.id, status=RunStatus.AWAITING_APPROVAL, state="{}")
    answered.calls.extend(tool_call_row(answered.run, position, **WAITING) for position in range(calls))
    await store_answered(database, answered)
    return answered


async def test_run_shows_all_its_fields(client: GraphClient, database: Database, user: SignedIn) -> None:
    conversation = await make_conversation(database, user.caller)
    answered = await make_answered(database, user, conversation.id, 2, input_tokens=120, output_tokens=7)
    run, (first, second) = answered.run, answered.calls
    node = (await client.query(RUN, {"id": run.id.upper()}, as_=user))["node"]
    assert node["toolCalls"] == [
        {
            "id": call.id,
            "name": "add_task",
            "arguments": {"title": "Buy milk"},
            "result": {"task": {"title": "Buy milk"}},
            "status": "COMPLETED",
            "revision": 2,
            "createdAt": call.created_at.isoformat(),
            "run": {"id": run.id},
        }
        for call in (first, second)
    ]
    del node["toolCalls"]
    assert node == {
        "__typename": "Run",
        "id": run.id,
        "status": "COMPLETED",
        "model": "offline",
        "inputTokens": 120,
        "outputTokens": 7,
        "error": None,
        "revision": 2,
        "createdAt": run.created_at.isoformat(),
        "finishedAt": run.finished_at and run.finished_at.isoformat(),
        "undoneAt": None,
        "conversation": {"title": "Plans"},
        "message": {"content": "Hello", "role": "USER", "run": None},
        "reply": {"content": "Done.", "status": "COMPLETE", "run": {"id": run.id}},
    }


async def test_tool_calls_are_ordered_by_position(client: GraphClient, database: Database, user: SignedIn) -> None:
    conversation = await make_conversation(database, user.caller)
    answered = answered_rows(user, conversation.id)
    positions = [3, 0, 2, 1]
    answered.calls.extend(tool_call_row(answered.run, each, name=f"tool_{each}") for each in positions)
    await store_answered(database, answered)
    node = (await client.query(RUN, {"id": answered.run.id}, as_=user))["node"]
    assert [call["name"] for call in node["toolCalls"]] == ["tool_0", "tool_1", "tool_2", "tool_3"]


VALUES: Final[list[Any]] = [
    None,
    True,
    0,
    -1.5,
    "text",
    "\N{ROCKET} \\ \" ' \u202e",
    [],
    {},
    {"a": [{"b": None}, 2**53]},
    [[[[]]]],
]


async def test_tool_call_shows_any_json_as_it_is(client: GraphClient, database: Database, user: SignedIn) -> None:
    conversation = await make_conversation(database, user.caller)
    answered = answered_rows(user, conversation.id)
    answered.calls.extend(
        tool_call_row(answered.run, position, arguments={"given": value}, result=value)
        for position, value in enumerate(VALUES)
    )
    await store_answered(database, answered)
    query = "query ($ids: [ID!]!) { nodes(ids: $ids) { ... on ToolCall { arguments result } } }"
    shown = await client.query(query, {"ids": [call.id for call in answered.calls]}, as_=user)
    assert shown == {"nodes": [{"arguments": {"given": value}, "result": value} for value in VALUES]}


async def test_message_without_a_run_has_none(client: GraphClient, database: Database, user: SignedIn) -> None:
    conversation = await make_conversation(database, user.caller)
    given = {"conversationId": conversation.id, "content": "Hello", "role": "ASSISTANT"}
    stored = await client.mutate("addMessage", given, as_=user)
    query = "query ($id: ID!) { node(id: $id) { ... on Message { run { id } } } }"
    said = (stored["message"]["id"], (await make_message(database, user.caller, conversation.id)).id)
    for message_id in said:
        assert await client.query(query, {"id": message_id}, as_=user) == {"node": {"run": None}}


async def test_deleted_conversation_deletes_its_runs(client: GraphClient, database: Database, user: SignedIn) -> None:
    gone, kept = [await make_conversation(database, user.caller) for _ in range(2)]
    doomed, spared = [await make_answered(database, user, each.id, 2) for each in (gone, kept)]
    payload = await client.mutate("deleteConversation", {"id": gone.id}, as_=user)
    kinds = {
        gone.id: "CONVERSATION",
        doomed.message.id: "MESSAGE",
        doomed.reply.id: "MESSAGE",
        doomed.run.id: "RUN",
        **dict.fromkeys((call.id for call in doomed.calls), "TOOL_CALL"),
    }
    assert payload["deletedIds"] == [gone.id, *sorted(kinds.keys() - {gone.id})]
    state = await state_of(database, user.user.id)
    assert {row.id: row.kind for row in state.deletions.values()} == kinds
    assert {row.revision for row in state.deletions.values()} == {5}
    rows = {kept.id, spared.message.id, spared.reply.id, spared.run.id, *(call.id for call in spared.calls)}
    assert set(state.rows) == rows


async def test_cancel_run_ends_run_reply_and_calls(client: GraphClient, database: Database, user: SignedIn) -> None:
    answered = await paused(database, user, 2)
    payload = await client.mutate("cancelRun", {"id": answered.run.id.upper()}, as_=user)
    assert payload["errors"] == []
    assert (payload["run"]["status"], payload["run"]["error"]) == ("CANCELLED", None)
    assert payload["run"]["finishedAt"] is not None
    state = await state_of(database, user.user.id)
    run = state.rows[answered.run.id]
    assert (run.status, run.state, run.lease_until) == (RunStatus.CANCELLED, None, None)
    assert state.rows[answered.reply.id].status is MessageStatus.CANCELLED
    assert {state.rows[call.id].status for call in answered.calls} == {ToolCallStatus.REJECTED}
    changed = [answered.run.id, answered.reply.id, *(call.id for call in answered.calls)]
    assert {state.rows[row_id].revision for row_id in changed} == {state.revision}
    again = await client.mutate("cancelRun", {"id": answered.run.id}, as_=user)
    assert again["run"] == payload["run"]
    assert [(error["code"], error["message"]) for error in again["errors"]] == [
        ("CONFLICT", "This run has ended already.")
    ]
    late = await client.mutate("resolveToolCall", {"id": answered.calls[0].id, "approve": True}, as_=user)
    assert late["run"] == payload["run"]
    message = "This tool call does not wait for approval, or no longer."
    assert [(error["code"], error["message"]) for error in late["errors"]] == [("CONFLICT", message)]
    assert await state_of(database, user.user.id) == state


@pytest.mark.parametrize("approve", [True, False])
async def test_run_waits_until_all_calls_are_decided(
    client: GraphClient, database: Database, user: SignedIn, *, approve: bool
) -> None:
    answered = await paused(database, user, 2)
    payload = await client.mutate("resolveToolCall", {"id": answered.calls[1].id, "approve": approve}, as_=user)
    assert (payload["errors"], payload["run"]["status"]) == ([], "AWAITING_APPROVAL")
    node = (await client.query(RUN, {"id": answered.run.id}, as_=user))["node"]
    decided = "RUNNING" if approve else "REJECTED"
    assert [call["status"] for call in node["toolCalls"]] == ["AWAITING_APPROVAL", decided]
    await client.mutate("cancelRun", {"id": answered.run.id}, as_=user)


async def test_mutation_reads_the_changes_of_the_one_before(
    client: GraphClient, database: Database, user: SignedIn
) -> None:
    answered = await paused(database, user, 2)
    query = """mutation ($run: ID!, $call: ID!) {
        decided: resolveToolCall(input: {id: $call, approve: false}) { run { ...Seen } }
        cancelled: cancelRun(input: {id: $run}) { run { ...Seen } }
    }
    fragment Seen on Run { status reply { status } toolCalls { status } }"""
    seen = await client.query(query, {"run": answered.run.id, "call": answered.calls[0].id}, as_=user)
    assert seen["decided"]["run"] == {
        "status": "AWAITING_APPROVAL",
        "reply": {"status": "STREAMING"},
        "toolCalls": [{"status": "REJECTED"}, {"status": "AWAITING_APPROVAL"}],
    }
    assert seen["cancelled"]["run"] == {
        "status": "CANCELLED",
        "reply": {"status": "CANCELLED"},
        "toolCalls": [{"status": "REJECTED"}, {"status": "REJECTED"}],
    }
