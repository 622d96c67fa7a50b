"""Runs with a provider's model, over the wire: its streaming protocol, its failures, and what people see of them."""

from typing import Any, Final

import pytest

from assistant.tools import TOOLS
from core.settings import Settings
from tests.assistant.chat import Chat, codes
from tests.assistant.conftest import ChatWith
from tests.assistant.provider import Cut, Provider, Refuse, Stall, Step, Text, UseTool
from tests.databases import only_sqlite
from tests.factories import NOBODYS_ID

ADD_MILK: Final = UseTool("add_task", {"title": "Buy milk"}, "call_1")
NO_SENSE: Final = "The assistant's model gave an answer that makes no sense. Ask again."


async def test_reply_holds_text_and_tool_calls(chat: Chat, provider: Provider) -> None:
    provider.script([Text(["I will ", "add it."]), ADD_MILK], [Text(["Milk is ", "on your list."])])
    answer = await chat.send("add milk", timeZone="Europe/Berlin")
    message, reply, run = (answer[name] for name in ("message", "reply", "run"))
    assert (answer["errors"], answer["conversation"]["title"]) == ([], "add milk")
    assert (message["content"], message["role"]) == ("add milk", "USER")
    assert (reply["content"], reply["status"]) == ("I will add it.\n\nMilk is on your list.", "COMPLETE")
    (call,) = run["toolCalls"]
    assert (call["name"], call["arguments"], call["status"]) == ("add_task", {"title": "Buy milk"}, "COMPLETED")
    assert call["result"]["task"]["title"] == "Buy milk"
    assert await chat.titles() == ["Buy milk"]
    assert (reply["run"]["id"], run["status"], run["model"]) == (run["id"], "COMPLETED", "gpt-5-mini")
    assert (run["inputTokens"], run["outputTokens"]) == (200, 20)


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
    assert names == {tool.name for tool in TOOLS}


FAILURES: dict[str, tuple[list[list[Step]], str]] = {
    "cut": ([[Text(["Half a"]), Cut()]], "The assistant's provider failed. Ask again."),
    "key": ([[Refuse(401)]], "The assistant is not set up properly. Tell whoever runs this server."),
    "busy": ([[Refuse(429)]] * 3, "The assistant's provider has too much to do just now. Ask again in a while."),
    "silent": ([[Text(["Half a"]), Stall()]], "The assistant took too long to answer. Ask again."),
}


@only_sqlite
@pytest.mark.parametrize("failure", FAILURES)
async def test_failed_run_has_a_plain_error_and_can_be_repeated(
    chat: Chat, chat_with: ChatWith, provider: Provider, failure: str
) -> None:
    answers, sentence = FAILURES[failure]
    provider.script(*answers)
    async with chat_with(assistant_stall_s=1.0 if failure == "silent" else 60.0) as there:
        failed = await there.send("hello")
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
    run = (await chat.send("add milk"))["run"]
    assert (run["status"], [call["status"] for call in run["toolCalls"]]) == ("FAILED", ["COMPLETED"])
    assert await chat.titles() == ["Buy milk"]


WRONG_CALLS: list[tuple[str, dict[str, Any] | str]] = [
    ("add_task", '{"title": '),
    ("add_task", "[1, 2]"),
    ("add_task", {"title": "x", "user_id": "somebody"}),
    ("add_task", {}),
    ("complete_task", {"task_id": NOBODYS_ID}),
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
    assert len(outputs) == len(calls)
    for recorded, output in zip(answer["run"]["toolCalls"], outputs, strict=True):
        assert (recorded["status"], list(recorded["result"])) == ("FAILED", ["error"])
        assert recorded["result"]["error"] in output.replace("\\u003c", "<")
    assert await chat.titles() == []


ENDINGS: dict[str, tuple[list[list[Step]], str | None, str, int]] = {
    "lone surrogate": ([[UseTool("add_task", '{"title": "\\ud800"}', "call_1")]], NO_SENSE, "", 0),
    "unknown tool": ([[UseTool("drop", {}, "call_1")], [Text(["I cannot."])]], None, "I cannot.", 0),
    "no text": ([[UseTool("list_tasks", {}, "call_1")], [Text([])]], None, "Done.", 1),
    "too many turns": (
        [[UseTool("list_tasks", {}, f"call_{turn}")] for turn in range(30)],
        *("The assistant did not come to an end. Ask for less at once.", "", 20),
    ),
    "too many calls": (
        [[UseTool("list_tasks", {"limit": 1}, f"call_{number}") for number in range(102)]],
        *("The assistant wanted to do too much at once. Ask for less.", "", 100),
    ),
}


@only_sqlite
@pytest.mark.parametrize("name", ENDINGS)
async def test_run_ends_whatever_the_model_calls(chat: Chat, provider: Provider, name: str) -> None:
    answers, error, content, calls = ENDINGS[name]
    provider.script(*answers)
    answer = await chat.send("do it")
    assert (answer["run"]["error"], answer["reply"]["content"]) == (error, content)
    assert answer["run"]["status"] == ("FAILED" if error else "COMPLETED")
    assert len(answer["run"]["toolCalls"]) == calls
    assert await chat.titles() == []


async def test_too_long_reply_fails_the_run_and_keeps_its_beginning(chat: Chat, provider: Provider) -> None:
    provider.script([Text(["x" * 60_000, "y" * 60_000])])
    answer = await chat.send("tell me everything")
    assert answer["run"]["error"] == "The reply became too long. Ask for less at once."
    assert len(answer["reply"]["content"]) == 100_000


async def test_unstorable_characters_of_a_reply_are_replaced(chat: Chat, provider: Provider) -> None:
    provider.script([Text(["a\0b", "\ud83d", "\ude00 c"])])
    reply = (await chat.send("hello"))["reply"]
    assert (reply["status"], reply["content"][:3]) == ("COMPLETE", "a\N{REPLACEMENT CHARACTER}b")


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
    assert codes(await chat.cancel(run_id)) == ["CONFLICT"]


@only_sqlite
async def test_history_is_bounded_in_tokens(settings: Settings, chat: Chat, provider: Provider) -> None:
    assert settings.assistant_history_tokens == 8_000
    provider.script(*([Text(["y" * 20_000])] for _ in range(4)))
    talk = (await chat.send("x" * 10_000))["conversation"]["id"]
    for _ in range(3):
        await chat.send("x" * 10_000, conversationId=talk)
    read = sum(len(message["content"]) for message in provider.requests[-1]["messages"][1:])
    assert 10_000 < read <= 32_000
