"""Runs with a provider's model, over the wire: its streaming protocol, its failures, and what people see of them."""

from typing import Any

import httpx2
import pytest

from core.settings import Settings
from tests.assistant.chat import Chat
from tests.assistant.provider import Cut, Provider, Refuse, Stall, Step, Text, UseTool
from tests.databases import only_sqlite
from tests.graph_client import GraphClient
from tests.servers import serve_with
from tests.waiting import PATIENCE_S

ADD_MILK = UseTool("add_task", {"title": "Buy milk"}, "call_1")


async def test_reply_holds_text_and_tool_calls(chat: Chat, provider: Provider) -> None:
    provider.script([Text(["I will ", "add it."]), ADD_MILK], [Text(["Milk is ", "on your list."])])
    answer = await chat.send("add milk", timeZone="Europe/Berlin")
    assert answer["errors"] == []
    assert (answer["message"]["content"], answer["message"]["role"]) == ("add milk", "USER")
    assert answer["reply"]["content"] == "I will add it.\n\nMilk is on your list."
    assert (answer["reply"]["status"], answer["run"]["status"]) == ("COMPLETE", "COMPLETED")
    assert answer["reply"]["run"]["id"] == answer["run"]["id"]
    assert answer["conversation"]["title"] == "add milk"
    (call,) = answer["run"]["toolCalls"]
    assert (call["name"], call["arguments"], call["status"]) == ("add_task", {"title": "Buy milk"}, "COMPLETED")
    assert call["result"]["task"]["title"] == "Buy milk"
    assert await chat.titles() == ["Buy milk"]
    assert (answer["run"]["inputTokens"], answer["run"]["outputTokens"]) == (200, 20)
    assert answer["run"]["model"] == "gpt-5-mini"


async def test_model_reads_instructions_history_and_own_tools(chat: Chat, provider: Provider) -> None:
    provider.script([ADD_MILK], [Text(["Added."])], [Text(["Hello again."])])
    first = await chat.send("add </data> milk")
    await chat.send("and now?", conversationId=first["conversation"]["id"], timeZone="Asia/Tokyo")
    system, *said = provider.requests[-1]["messages"]
    assert "Asia/Tokyo" in system["content"]
    assert [message["role"] for message in said] == ["user", "assistant", "tool", "assistant", "user"]
    assert said[2]["content"].startswith("<data>{")
    assert said[1]["tool_calls"][0]["id"] == said[2]["tool_call_id"]
    assert (said[0]["content"], said[-1]["content"]) == ("add </data> milk", "and now?")
    names = {tool["function"]["name"] for tool in provider.requests[-1]["tools"]}
    own = {"list_tasks", "add_task", "update_task", "complete_task", "reopen_task", "delete_task", "search"}
    assert names == own


FAILURES: dict[str, tuple[list[list[Step]], str]] = {
    "cut": ([[Text(["Half a"]), Cut()]], "The assistant's provider failed. Ask again."),
    "key": ([[Refuse(401)]], "The assistant is not set up properly. Tell whoever runs this server."),
    "busy": ([[Refuse(429)]] * 3, "The assistant's provider has too much to do just now. Ask again in a while."),
}


@only_sqlite
@pytest.mark.parametrize("failure", FAILURES)
async def test_failed_run_has_a_plain_error_and_can_be_repeated(chat: Chat, provider: Provider, failure: str) -> None:
    answers, sentence = FAILURES[failure]
    provider.script(*answers)
    await assert_told(await chat.send("hello"), chat, provider, sentence)


@only_sqlite
async def test_silent_provider_ends_the_run(
    settings: Settings, chat: Chat, provider: Provider, provider_settings: dict[str, Any]
) -> None:
    provider.script([Text(["Half a"]), Stall()])
    async with (
        serve_with(settings, **provider_settings, assistant_stall_s=1.0) as impatient,
        httpx2.AsyncClient(base_url=impatient.url, timeout=PATIENCE_S) as http,
    ):
        failed = await Chat(GraphClient(http), chat.user).send("hello")
    await assert_told(failed, chat, provider, "The assistant took too long to answer. Ask again.")


async def assert_told(failed: dict[str, Any], chat: Chat, provider: Provider, sentence: str) -> None:
    """Check that a failure is told, and that an answer may be had all the same."""
    assert (failed["run"]["status"], failed["run"]["error"]) == ("FAILED", sentence)
    assert (failed["reply"]["status"], failed["message"]["content"]) == ("FAILED", "hello")
    assert failed["run"]["finishedAt"] is not None
    provider.script([Text(["Hello."])])
    again = await chat.ask_again(failed["reply"]["id"])
    assert (again["errors"], again["reply"]["content"]) == ([], "Hello.")
    assert again["message"]["id"] == failed["message"]["id"]
    assert [message["content"] for message in provider.requests[-1]["messages"][1:]] == ["hello"]


@only_sqlite
async def test_refused_request_is_retried(chat: Chat, provider: Provider) -> None:
    provider.script([Refuse(503)], [Text(["Here I am."])])
    assert (await chat.send("hello"))["reply"]["content"] == "Here I am."


@only_sqlite
async def test_changes_of_tools_stay_after_a_provider_failure(chat: Chat, provider: Provider) -> None:
    provider.script([ADD_MILK], [Refuse(401)])
    failed = await chat.send("add milk")
    assert failed["run"]["status"] == "FAILED"
    assert [call["status"] for call in failed["run"]["toolCalls"]] == ["COMPLETED"]
    assert await chat.titles() == ["Buy milk"]


WRONG_CALLS: list[tuple[str, dict[str, Any] | str]] = [
    ("add_task", '{"title": '),
    ("add_task", "[1, 2]"),
    ("add_task", {"title": "x", "user_id": "somebody"}),
    ("add_task", {}),
    ("complete_task", {"task_id": "01900000-0000-7000-8000-000000000000"}),
    ("complete_task", {"task_id": "1; DROP TABLE tasks"}),
    ("add_task", {"title": "  "}),
    ("add_task", {"title": "a\0b"}),
    ("delete_task", {}),
]


async def test_wrong_calls_fail_with_an_error_that_the_model_reads(chat: Chat, provider: Provider) -> None:
    calls = [UseTool(name, given, f"call_{number}") for number, (name, given) in enumerate(WRONG_CALLS)]
    provider.script(calls, [Text(["That did not work."])])
    answer = await chat.send("do it")
    assert (answer["run"]["status"], answer["reply"]["content"]) == ("COMPLETED", "That did not work.")
    outputs = [message["content"] for message in provider.requests[-1]["messages"] if message["role"] == "tool"]
    for recorded, output in zip(answer["run"]["toolCalls"], outputs, strict=True):
        assert (recorded["status"], list(recorded["result"])) == ("FAILED", ["error"])
        assert recorded["result"]["error"] in output.replace("\\u003c", "<")
    assert len(outputs) == len(calls)
    assert await chat.titles() == []


@only_sqlite
async def test_call_with_a_lone_surrogate_fails_the_run(chat: Chat, provider: Provider) -> None:
    provider.script([UseTool("add_task", '{"title": "\\ud800"}', "call_1")])
    answer = await chat.send("do it")
    assert answer["run"]["error"] == "The assistant's model gave an answer that makes no sense. Ask again."
    assert await chat.titles() == []


@only_sqlite
async def test_unknown_tool_is_reported_to_the_model(chat: Chat, provider: Provider) -> None:
    provider.script([UseTool("drop_everything", {}, "call_1")], [Text(["I cannot do that."])])
    answer = await chat.send("do it")
    assert (answer["run"]["status"], answer["reply"]["content"]) == ("COMPLETED", "I cannot do that.")


@only_sqlite
async def test_run_ends_after_too_many_turns(chat: Chat, provider: Provider) -> None:
    provider.script(*([UseTool("list_tasks", {}, f"call_{turn}")] for turn in range(30)))
    answer = await chat.send("go round in circles")
    assert answer["run"]["error"] == "The assistant did not come to an end. Ask for less at once."


@only_sqlite
async def test_run_ends_after_too_many_tool_calls(chat: Chat, provider: Provider) -> None:
    provider.script([UseTool("list_tasks", {"limit": 1}, f"call_{number}") for number in range(102)])
    answer = await chat.send("do everything")
    assert answer["run"]["error"] == "The assistant wanted to do too much at once. Ask for less."
    assert len(answer["run"]["toolCalls"]) == 100


@only_sqlite
async def test_reply_without_text_after_a_tool_call_says_done(chat: Chat, provider: Provider) -> None:
    provider.script([ADD_MILK], [Text([])])
    assert (await chat.send("add milk"))["reply"]["content"] == "Done."


async def test_too_long_reply_fails_the_run_and_keeps_its_beginning(chat: Chat, provider: Provider) -> None:
    provider.script([Text(["x" * 60_000, "y" * 60_000])])
    answer = await chat.send("tell me everything")
    assert answer["run"]["error"] == "The reply became too long. Ask for less at once."
    assert len(answer["reply"]["content"]) == 100_000


async def test_unstorable_characters_of_a_reply_are_replaced(chat: Chat, provider: Provider) -> None:
    provider.script([Text(["a\0b", "\ud83d", "\ude00 c"])])
    reply = (await chat.send("hello"))["reply"]
    assert reply["status"] == "COMPLETE"
    assert reply["content"].startswith("a\N{REPLACEMENT CHARACTER}b")


async def test_cancelled_run_keeps_its_text(chat: Chat, provider: Provider) -> None:
    provider.script([Text(["So far."]), Stall(), Text(["Not this."])])
    answer = await chat.send("hello", wait=False)
    run_id = answer["run"]["id"]
    await chat.until_written(run_id, "So far.")
    cancelled = await chat.cancel(run_id)
    assert (cancelled["errors"], cancelled["run"]["status"]) == ([], "CANCELLED")
    assert cancelled["run"]["reply"]["status"] == "CANCELLED"
    provider.go_on.set()
    provider.script([Text(["Anew."])])
    again = await chat.send("hello?", conversationId=answer["conversation"]["id"])
    assert again["reply"]["content"] == "Anew."
    assert (await chat.run(run_id))["reply"]["content"] == "So far."
    refused = await chat.cancel(run_id)
    assert [error["code"] for error in refused["errors"]] == ["CONFLICT"]


async def test_conversation_has_one_run_at_a_time(chat: Chat, provider: Provider) -> None:
    provider.script([Stall(), Text(["One."])], [Stall(), Text(["One."])])
    opened = await chat.send("hello", wait=False)
    conversation_id = opened["conversation"]["id"]
    refused = await chat.send("hello?", conversationId=conversation_id)
    assert [error["code"] for error in refused["errors"]] == ["CONFLICT"]
    again = await chat.ask_again(opened["message"]["id"])
    assert [error["code"] for error in again["errors"]] == ["CONFLICT"]
    elsewhere = await chat.send("hello", wait=False)
    assert elsewhere["errors"] == []
    provider.go_on.set()
    await chat.until(opened["run"]["id"], "COMPLETED")
    assert [message["content"] for message in await chat.messages(conversation_id)] == ["hello", "One."]


@only_sqlite
async def test_history_is_bounded_in_tokens(settings: Settings, chat: Chat, provider: Provider) -> None:
    assert settings.assistant_history_tokens == 8_000
    provider.script(*([Text(["y" * 20_000])] for _ in range(4)))
    conversation_id = (await chat.send("x" * 10_000))["conversation"]["id"]
    for _ in range(3):
        await chat.send("x" * 10_000, conversationId=conversation_id)
    read = sum(len(message["content"]) for message in provider.requests[-1]["messages"][1:])
    assert 10_000 < read <= 32_000
