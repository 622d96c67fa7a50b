"""The example chat in a real browser: it shows everything once, whatever is cut, and talks with the assistant."""

from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, expect

from tests.assistant.provider import Provider, Refuse, Stall, Text, UseTool
from tests.browsers import needs_browser, one_database
from tests.clock import MovableClock
from tests.examples.chat_page import ChatPage
from tests.examples.conftest import go_on
from tests.examples.cuttable import Cuttable
from tests.examples.elsewhere import Elsewhere

pytestmark = [needs_browser, one_database]

# More than the server reads at once.
WHILE_AWAY = [f"While away {number}" for number in range(105)]
HOSTILE = (
    '<img src="/x" onerror="document.title = 1"><script>document.title = 2</script> \N{RIGHT-TO-LEFT OVERRIDE}olleh'
)


@pytest.mark.parametrize("transport", ["socket", "events"])
async def test_no_message_is_lost_in_a_cut(
    line: Cuttable, chat: ChatPage, elsewhere: Elsewhere, transport: str
) -> None:
    await chat.join(over=transport)
    conversation_id = await elsewhere.create_conversation("Plans")
    await chat.button("Plans").click()
    await elsewhere.write(conversation_id, ["From elsewhere"])
    await expect(chat.messages).to_have_text(["From elsewhere"])
    await line.cut()
    await expect(chat.status).to_have_text("reconnecting")
    await elsewhere.write(conversation_id, WHILE_AWAY)
    await chat.write("Not lost")
    await expect(chat.page.get_by_role("alert").last).to_have_text("The server cannot be reached. Try again.")
    await line.mend()
    await expect(chat.messages).to_have_text(["From elsewhere", *WHILE_AWAY])
    await expect(chat.status).to_have_text("live")
    await chat.button("Send").click()
    await expect(chat.page.locator(".user")).to_have_text(["From elsewhere", *WHILE_AWAY, "Not lost"])
    await expect(chat.replies).to_have_count(1)
    assert chat.hosts == {urlsplit(line.url).netloc}


async def test_earlier_and_new_messages_are_shown_as_text(chat: ChatPage, elsewhere: Elsewhere) -> None:
    await elsewhere.sign_up()
    other_id, conversation_id = await elsewhere.create_conversation("Other"), await elsewhere.create_conversation()
    await elsewhere.write(conversation_id, WHILE_AWAY)
    await elsewhere.write(await elsewhere.create_conversation(HOSTILE), [HOSTILE])
    await elsewhere.create_task(HOSTILE)
    await chat.enter()
    await chat.button(HOSTILE).click()
    await expect(chat.messages).to_have_text([HOSTILE])
    await expect(chat.tasks).to_have_text([HOSTILE])
    await expect(chat.page.get_by_role("heading", level=2).first).to_have_text(HOSTILE)
    await expect(chat.page).to_have_title("Tasktalk")
    await chat.button("Plans").click()
    await expect(chat.messages).to_have_text(WHILE_AWAY)
    await elsewhere.write(other_id, ["In another conversation"])
    await elsewhere.write(conversation_id, ["Live"])
    await expect(chat.messages).to_have_text([*WHILE_AWAY, "Live"])
    await chat.button("Other").click()
    await expect(chat.messages).to_have_text(["In another conversation"])
    await chat.button("+ New conversation").click()
    await expect(chat.messages).to_have_count(0)
    await chat.page.reload()
    await expect(chat.status).to_have_text("live")
    assert chat.errors == []
    await chat.button("Sign out").click()
    await chat.page.reload()
    await chat.page.get_by_label("Email").fill(elsewhere.email)
    await chat.page.get_by_label("Password").fill("a wrong password")
    await chat.button("Sign in").click()
    await expect(chat.page.get_by_role("alert").first).to_contain_text("password")


async def test_expired_token_is_refreshed(chat: ChatPage, elsewhere: Elsewhere, clock: MovableClock) -> None:
    await elsewhere.sign_up()
    conversation_id = await elsewhere.create_conversation("Plans")
    await elsewhere.write(conversation_id, ["Before"])
    async with chat.page.expect_websocket() as first:
        await chat.enter()
    await chat.button("Plans").click()
    await expect(chat.messages).to_have_text(["Before"])
    await first.value
    async with chat.page.expect_websocket():
        clock.move_on(timedelta(minutes=30))
    await elsewhere.sign_in()
    await elsewhere.write(conversation_id, ["After"])
    await expect(chat.messages).to_have_text(["Before", "After"])


async def test_two_pages_see_what_the_other_does(chat: ChatPage, browser: Browser) -> None:
    async with await browser.new_context() as there:
        other = ChatPage(await there.new_page(), chat.url, chat.elsewhere)
        await chat.enter("Create an account")
        await other.enter()
        await chat.page.get_by_label("New task").fill("Water the plants")
        await chat.button("Add").click()
        await expect(other.tasks).to_have_text(["Water the plants"])
        await other.box("Water the plants").check()
        await expect(chat.box("Water the plants")).to_be_checked()
        await chat.ask("add buy milk", "buy milk")
        await other.button("add buy milk").click()
        await expect(other.messages).to_have_text(await chat.messages.all_inner_texts())
        await expect(other.tasks).to_have_text(["buy milk", "Water the plants"])
        assert chat.errors == other.errors == []


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
