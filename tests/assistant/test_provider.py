"""Runs with a provider's model, over the wire: its protocol, its failures, and whatever else it may answer."""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from agents import OpenAIChatCompletionsModel

from assistant.assistant import model_name
from assistant.model import Models
from assistant.offline.model import OfflineModel
from assistant.tools import TOOLS
from core.settings import Settings
from services.runs.run import OFFLINE_MODEL
from tests.assistant.chat import Chat
from tests.assistant.conftest import ChatWith
from tests.assistant.provider import Cut, Provider, Raw, Refuse, Stall, Step, Text, UseTool, chunk, event
from tests.databases import make_settings, only_sqlite
from tests.factories import NOBODYS_ID
from tests.waiting import until, until_so

ADD_MILK: Final = UseTool("add_task", {"title": "Buy milk"}, "call_1")
NO_SENSE: Final = "The assistant's model gave an answer that makes no sense. Ask again."
FAILED: Final = "The assistant's provider failed. Ask again."
NOT_SET_UP: Final = "The assistant is not set up properly. Tell whoever runs this server."


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
    "cut": ([[Text(["Half a"]), Cut()]], FAILED),
    "key": ([[Refuse(401)]], NOT_SET_UP),
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
    provider.script([Text(["Hello."])], [Text(["Bye."])])
    again = await chat.ask_again(failed["reply"]["id"])
    assert (again["errors"], again["reply"]["content"]) == ([], "Hello.")
    assert again["message"]["id"] == failed["message"]["id"]
    # Of the two replies, the model reads the newer one.
    await chat.send("bye", conversationId=failed["conversation"]["id"])
    read = [[message["content"] for message in request["messages"][1:]] for request in provider.requests[-2:]]
    assert read == [["hello"], ["hello", "Hello.", "bye"]]


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
    "refused once": ([[Refuse(503)], [Text(["Here I am."])]], None, "Here I am.", 0),
    "failure after a tool": ([[UseTool("list_tasks", {}, "call_1")], [Refuse(401)]], NOT_SET_UP, "", 1),
    "page": ([[Raw(["<html>Please sign in</html>"])]], FAILED, "", 0),
    "nothing": ([[Raw([""])]], FAILED, "", 0),
    "no choices": ([[Raw(["data: {}\n\n"])]], FAILED, "", 0),
    "nothing said": ([[Text([])]], FAILED, "", 0),
}


@only_sqlite
@pytest.mark.parametrize("name", ENDINGS)
async def test_run_ends_whatever_the_model_answers(chat: Chat, provider: Provider, name: str) -> None:
    answers, error, content, calls = ENDINGS[name]
    provider.script(*answers)
    answer = await chat.send("do it")
    assert (answer["run"]["error"], answer["reply"]["content"]) == (error, content)
    assert answer["run"]["status"] == ("FAILED" if error else "COMPLETED")
    assert len(answer["run"]["toolCalls"]) == calls
    assert await chat.titles() == []


async def test_unstorable_characters_of_a_reply_are_replaced(chat: Chat, provider: Provider) -> None:
    provider.script([Text(["a\0b", "\ud83d", "\ude00 c"])])
    reply = (await chat.send("hello"))["reply"]
    assert (reply["status"], reply["content"][:3]) == ("COMPLETE", "a\N{REPLACEMENT CHARACTER}b")


@only_sqlite
async def test_history_is_bounded_in_tokens(settings: Settings, chat: Chat, provider: Provider) -> None:
    assert settings.assistant_history_tokens == 8_000
    provider.script(*([Text(["y" * 20_000])] for _ in range(4)))
    talk = (await chat.send("x" * 10_000))["conversation"]["id"]
    for _ in range(3):
        await chat.send("x" * 10_000, conversationId=talk)
    read = sum(len(message["content"]) for message in provider.requests[-1]["messages"][1:])
    assert 10_000 < read <= 32_000


HOSTILE_ARGUMENTS: Final = [
    *('{"a":' * depth + "1" + "}" * depth for depth in (100, 300)),
    *(json.dumps({"title": "x" * 500_000}), '{"limit": 1e400}'),
]
HOSTILE_IDS: Final = {"NUL": ("a\0b", "a\0c"), "long": ("x" * 500 + "1", "x" * 500 + "2")}


async def test_unreadable_arguments_are_recorded_in_short(chat: Chat, provider: Provider) -> None:
    calls = [UseTool("list_tasks", raw, f"call_{number}") for number, raw in enumerate(HOSTILE_ARGUMENTS)]
    provider.script(calls, [Text(["That did not work."])])
    answer = await chat.send("do it")
    assert (answer["run"]["status"], answer["reply"]["content"]) == ("COMPLETED", "That did not work.")
    assert len(answer["run"]["toolCalls"]) == len(calls)
    for call in answer["run"]["toolCalls"]:
        assert (call["status"], list(call["arguments"]), list(call["result"])) == ("FAILED", ["unreadable"], ["error"])
        assert len(call["arguments"]["unreadable"]) <= 1_000
    provider.script([Text(["Hello again."])])
    again = await chat.send("and now?", conversationId=answer["conversation"]["id"])
    assert again["reply"]["content"] == "Hello again."


@pytest.mark.parametrize("name", HOSTILE_IDS)
async def test_unstorable_call_ids_are_kept_apart_and_can_be_decided_on(
    chat: Chat, provider: Provider, name: str
) -> None:
    first, second = HOSTILE_IDS[name]
    adding = UseTool("add_task", {"title": "One"}, first), UseTool("add_task", {"title": "Two"}, second)
    provider.script([*adding], [Text(["Added."])])
    answer = await chat.send("add both")
    assert [call["status"] for call in answer["run"]["toolCalls"]] == ["COMPLETED"] * 2
    assert await chat.titles() == ["One", "Two"]
    # There is no such task.
    for approve, status in ((True, "FAILED"), (False, "REJECTED")):
        provider.script([UseTool("delete_task", {"task_id": NOBODYS_ID}, first)], [Text(["So be it."])])
        answer = await chat.send("delete it")
        await chat.resolve(answer["run"]["toolCalls"][0]["id"], approve=approve)
        run = await chat.ended(answer["run"]["id"])
        assert (run["status"], [call["status"] for call in run["toolCalls"]]) == ("COMPLETED", [status])


@pytest.mark.parametrize("count", [10**12, -5])
async def test_impossible_token_counts_are_bounded(chat: Chat, provider: Provider, count: int) -> None:
    used = {"prompt_tokens": count, "completion_tokens": count, "total_tokens": 2 * count}
    provider.script([Raw([chunk({"content": "Hi"}), chunk({}, "stop"), event({"choices": [], "usage": used})])])
    answer = await chat.send("hello")
    assert (answer["run"]["status"], answer["reply"]["content"]) == ("COMPLETED", "Hi")
    assert 0 <= answer["run"]["inputTokens"] < 2**31


@only_sqlite
async def test_unreported_tokens_are_estimated(chat: Chat, provider: Provider) -> None:
    said = "x" * 400
    provider.script([Raw([chunk({"content": said}), chunk({}, "stop")])])
    whole = (await chat.send("hello"))["run"]
    provider.script([Text([said]), Stall()])
    run_id = (await chat.send("hello", wait=False))["run"]["id"]
    await chat.until_written(run_id, said)
    assert (await chat.cancel(run_id))["errors"] == []

    async def is_counted() -> object:
        return (await chat.run(run_id))["outputTokens"]

    await until_so(is_counted)
    for run, status in ((whole, "COMPLETED"), (await chat.run(run_id), "CANCELLED")):
        assert (run["status"], run["inputTokens"] > 100, run["outputTokens"]) == (status, True, 100)


def endless(piece: str) -> Iterator[str]:
    while True:
        yield piece


def begun(arguments: Iterable[str]) -> Iterator[str]:
    function: dict[str, Any] = {"name": "add_task", "arguments": ""}
    yield chunk({"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": function}]})
    for piece in arguments:
        yield chunk({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})


WITHOUT_END: dict[str, Callable[[], Iterator[str]]] = {
    "text": lambda: endless(chunk({"content": "x" * 1_000})),
    "arguments": lambda: begun(endless("x" * 10_000)),
    "line": lambda: endless("x" * 100_000),
    "comments": lambda: endless(f": {'x' * 100_000}\n\n"),
}


@only_sqlite
@pytest.mark.parametrize("name", WITHOUT_END)
async def test_endless_answer_is_cut_off_and_its_beginning_kept(chat: Chat, provider: Provider, name: str) -> None:
    provider.script([Raw(WITHOUT_END[name]())])
    answer = await chat.send("tell me everything")
    assert answer["run"]["error"] == "The reply became too long. Ask for less at once."
    assert len(answer["reply"]["content"]) == (100_000 if name == "text" else 0)
    await until(lambda: not provider.open_streams)


async def test_key_or_address_of_a_provider_selects_its_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path}/none.db"
    with_key = make_settings(url, openai_api_key="sk-test")
    given = (make_settings(url), with_key, make_settings(url, openai_base_url="http://h/v1"))
    assert [model_name(each) for each in given] == [OFFLINE_MODEL, "gpt-5-mini", "gpt-5-mini"]
    # An address that is set to nothing is none.
    monkeypatch.setenv("OPENAI_BASE_URL", "")
    assert isinstance(Models(with_key, OFFLINE_MODEL).make("UTC"), OfflineModel)
    models = Models(with_key, "gpt-5-mini")
    model = models.make("UTC")
    assert isinstance(model, OpenAIChatCompletionsModel)
    assert str(model._client.base_url) == "https://api.openai.com/v1/"  # noqa: SLF001 - it tells nowhere else
    await models.close()
