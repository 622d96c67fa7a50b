"""The offline model behind a server, with the very tools and databases that people use."""

from typing import Any

from tests.assistant.chat import Chat


async def say(chat: Chat, content: str, conversation_id: str | None, *, approve: bool | None = None) -> dict[str, Any]:
    """Send a message, decide on what asks, and return the finished run."""
    payload = await chat.send(content, wait=True, conversationId=conversation_id)
    assert payload["errors"] == []
    run = payload["run"]
    if approve is not None:
        waiting = next(call for call in run["toolCalls"] if call["status"] == "AWAITING_APPROVAL")
        assert (await chat.resolve(waiting["id"], approve=approve))["errors"] == []
        run = await chat.until(run["id"], "COMPLETED", "FAILED")
    assert run["status"] == "COMPLETED", run
    return {**run, "conversation": payload["conversation"]["id"]}


async def test_a_conversation_with_the_real_tools(chat: Chat) -> None:
    run = await say(chat, "add buy milk for tomorrow and tell me what's still open", None)
    talk = run["conversation"]
    assert run["reply"]["content"] == (
        "Added \u201cbuy milk\u201d, due tomorrow.\n\nYou have 1 open task:\n1. buy milk \u00b7 due tomorrow"
    )
    assert [call["name"] for call in run["toolCalls"]] == ["add_task", "list_tasks"]
    assert run["model"] == "offline"
    assert run["inputTokens"] > 0
    assert run["outputTokens"] > 0
    for message, answer in (
        ("make it high priority", "\u201cbuy milk\u201d has high priority now."),
        ("tag the first one with #shop", "\u201cbuy milk\u201d is tagged #shop now."),
        ("rename milk to buy oat milk", "Renamed \u201cbuy milk\u201d to \u201cbuy oat milk\u201d."),
        ("remove the due date of the oat milk", "Removed the due date of \u201cbuy oat milk\u201d."),
        ("postpone it by 2 days", "Moved \u201cbuy oat milk\u201d to "),
        ("I bought oat milk", "Completed \u201cbuy oat milk\u201d."),
        ("reopen it", "Reopened \u201cbuy oat milk\u201d."),
        ("find oat", "I found 1 task about \u201coat\u201d:\n1. buy oat milk"),
        ("list high priority ones", "You have 1 open high-priority task:\n1. buy oat milk"),
        ("what is due this week?", "You have "),
        ("plan my day", "High priority besides:\n1. buy oat milk"),
        ("weekly review", "Due within 7 days:\n1. buy oat milk"),
    ):
        run = await say(chat, message, talk)
        assert run["reply"]["content"].startswith(answer), message


async def test_deleting_waits_for_the_person(chat: Chat) -> None:
    run = await say(chat, "add milk, eggs and bread", None)
    talk = run["conversation"]
    run = await say(chat, "delete the second one", talk, approve=False)
    question = "Shall I delete \u201ceggs\u201d? That needs your approval.\n\n"
    assert run["reply"]["content"] == f"{question}I left \u201ceggs\u201d as it is."
    run = await say(chat, "delete the second one", talk, approve=True)
    assert run["reply"]["content"] == f"{question}Deleted \u201ceggs\u201d."
    assert await chat.titles() == ["milk", "bread"]
    run = await say(chat, "delete the second one", talk)
    assert run["reply"]["content"] == "\u201ceggs\u201d is not there any more."


async def test_a_title_too_long_is_told_in_the_words_of_the_tool(chat: Chat) -> None:
    run = await say(chat, f"add {'x' * 600}", None)
    assert run["reply"]["content"].startswith(f"I could not add \u201c{'x' * 99}\u2026\u201d: title must be 1 to 500")
    assert await chat.titles() == []
