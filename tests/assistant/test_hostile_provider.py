"""Providers and models that answer anything: no run is left behind by it, and what is recorded can be read again."""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import pytest

from tests.assistant.chat import Chat
from tests.assistant.provider import Provider, Raw, Stall, Step, Text, UseTool, chunk, event
from tests.databases import only_sqlite
from tests.factories import NOBODYS_ID
from tests.waiting import until, until_so

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


NO_ANSWERS: dict[str, list[Step]] = {
    "page": [Raw(["<html>Please sign in</html>"])],
    "nothing": [Raw([""])],
    "no choices": [Raw(["data: {}\n\n"])],
    "no text": [Text([])],
}


@only_sqlite
@pytest.mark.parametrize("name", NO_ANSWERS)
async def test_missing_answer_fails_the_run(chat: Chat, provider: Provider, name: str) -> None:
    provider.script(NO_ANSWERS[name])
    answer = await chat.send("add milk")
    assert (answer["run"]["status"], answer["reply"]["content"]) == ("FAILED", "")
    assert answer["run"]["error"] == "The assistant's provider failed. Ask again."


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
async def test_endless_answer_is_cut_off(chat: Chat, provider: Provider, name: str) -> None:
    provider.script([Raw(WITHOUT_END[name]())])
    answer = await chat.send("tell me everything")
    assert answer["run"]["error"] == "The reply became too long. Ask for less at once."
    await until(lambda: not provider.open_streams)
