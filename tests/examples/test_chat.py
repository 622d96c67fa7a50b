"""The example chat in a real browser: over either transport it shows everything once, whatever is cut."""

from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, expect

from tests.browsers import needs_browser, one_database
from tests.clock import MovableClock
from tests.examples.chat_page import ChatPage
from tests.examples.cuttable import Cuttable
from tests.examples.elsewhere import Elsewhere

pytestmark = [needs_browser, one_database]

# More than the server reads at once.
WHILE_AWAY = [f"While away {number}" for number in range(105)]
HOSTILE = (
    '<img src="/x" onerror="document.title = 1"><script>document.title = 2</script> \N{RIGHT-TO-LEFT OVERRIDE}olleh'
)


@pytest.mark.parametrize("transport", ["socket", "events"])
async def test_messages_during_a_cut_appear_once(
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
    assert chat.errors == []
    await chat.button("Sign out").click()
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
