"""Talking to the assistant in the example chat: its text streams, tasks change beside it, deletions are asked for."""

import pytest
from playwright.async_api import expect

from tests.assistant.provider import Provider, Refuse, Stall, Text, UseTool
from tests.browsers import needs_browser, one_database
from tests.examples.chat_page import ChatPage
from tests.examples.conftest import go_on
from tests.examples.cuttable import Cuttable
from tests.examples.elsewhere import Elsewhere

pytestmark = [needs_browser, one_database]

# Characters of one and of two halves, so that a place counted wrongly would show.
BEGINNING, MIDDLE, END = (
    "Good news \N{PARTY POPPER}\N{PARTY POPPER}: ",
    "your week \N{DESERT} is ",
    "free \N{BEACH WITH UMBRELLA}.",
)


async def test_reply_streams_and_tasks_change_beside_it(chat: ChatPage) -> None:
    await chat.enter("Create an account")
    await chat.record_reply()
    await chat.ask("add buy milk for tomorrow and tell me what's still open", "You have 1 open task")
    await expect(chat.tasks).to_have_text(["buy milk"])
    await expect(chat.page.get_by_role("list", name="Tasks").get_by_role("time")).to_have_text("tomorrow")
    await expect(chat.replies.get_by_role("listitem")).to_have_text(["Added “buy milk”", "Looked at the tasks"])
    await expect(chat.page.get_by_role("heading", level=2).first).to_contain_text("add buy milk for tomorrow")
    await expect(chat.field).to_have_value("")
    reply = await chat.messages.last.text_content() or ""
    assert all(reply.startswith(text) for text in await chat.recorded())
    assert chat.errors == []


async def test_deletion_waits_for_approval(chat: ChatPage, elsewhere: Elsewhere) -> None:
    await elsewhere.sign_up()
    both = ["call Ann", "pay the rent"]
    for title in both:
        await elsewhere.create_task(title)
    await chat.enter()
    for answer, done, left in (("Keep", "Kept", both), ("Approve", "Deleted", ["call Ann"])):
        await chat.write("delete pay the rent")
        card = chat.page.get_by_role("group", name="Delete “pay the rent”?")
        await expect(card).to_be_visible()
        await expect(chat.tasks).to_have_text(both)
        await card.get_by_role("button", name=answer).press("Enter")
        await expect(card).to_have_count(0)
        await expect(chat.button("Send")).to_be_visible()
        await expect(chat.tasks).to_have_text(left)
        await expect(chat.replies.get_by_role("listitem").last).to_have_text(f"{done} “pay the rent”")
        await expect(chat.field).to_be_focused()


@pytest.mark.parametrize("transport", ["socket", "events"])
async def test_reply_that_was_cut_off_goes_on_without_a_lost_or_doubled_character(
    provider: Provider, line: Cuttable, chat: ChatPage, elsewhere: Elsewhere, transport: str
) -> None:
    provider.script([Text(list(BEGINNING)), Stall(), Text(list(MIDDLE)), Stall(), Text(list(END))])
    await chat.join(over=transport)
    await chat.record_reply()
    await chat.write("How is my week?")
    await expect(chat.messages.last).to_have_text(BEGINNING)
    await line.cut()
    await expect(chat.status).to_have_text("reconnecting")
    go_on(provider)
    await elsewhere.until_last_message(BEGINNING + MIDDLE)
    await line.mend()
    # It is still being written: what is shown came by the stream of the reply alone.
    await expect(chat.messages.last).to_have_text(BEGINNING + MIDDLE)
    await expect(chat.button("Stop")).to_be_visible()
    go_on(provider)
    await expect(chat.messages.last).to_have_text(BEGINNING + MIDDLE + END)
    await expect(chat.button("Send")).to_be_visible()
    recorded = await chat.recorded()
    assert all((BEGINNING + MIDDLE + END).startswith(text) for text in recorded), recorded
    assert recorded == sorted(recorded, key=len)


async def test_reply_that_was_stopped_or_failed_can_be_asked_for_again(provider: Provider, chat: ChatPage) -> None:
    add = UseTool("add_task", {"title": "Rest"}, "call-1")
    provider.script([Text([BEGINNING]), Stall()], [Text(["All is well."])], [Refuse(400)], [add], [Text(["Added."])])
    await chat.enter("Create an account")
    await chat.write("How is my week?")
    await expect(chat.messages.last).to_have_text(BEGINNING)
    await chat.button("Stop").click()
    await expect(chat.replies).to_contain_text("Stopped.")
    await chat.button("Try again").click()
    await expect(chat.messages).to_have_text(["How is my week?", BEGINNING, "All is well."])
    await expect(chat.button("Try again")).to_be_hidden()
    await chat.write("I need some rest")
    await expect(chat.button("Try again")).to_be_visible()
    await expect(chat.replies.last.locator(".end")).to_contain_text("failed")
    await chat.button("Try again").click()
    await expect(chat.messages.last).to_have_text("Added.")
    await expect(chat.tasks).to_have_text(["Rest"])
    assert chat.errors == []


async def test_what_a_reply_did_can_be_undone(chat: ChatPage, elsewhere: Elsewhere) -> None:
    await elsewhere.sign_up()
    await elsewhere.create_task("call Ann")
    await chat.enter()
    await chat.write("add buy milk and delete call Ann")
    await chat.button("Approve").click()
    await expect(chat.tasks).to_have_text(["buy milk"])
    await chat.button("Undo").click()
    await expect(chat.tasks).to_have_text(["call Ann"])
    await expect(chat.replies).to_contain_text("Undone.")
    await expect(chat.button("Undo")).to_be_hidden()
    await chat.ask("complete call Ann", "call Ann")
    await chat.box("call Ann").uncheck()
    await chat.button("Undo").click()
    await expect(chat.page.get_by_role("alert").last).to_contain_text("call Ann")
    assert chat.errors == []
