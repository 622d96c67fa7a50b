"""The example chat in a real browser: over either transport it shows everything once, whatever is cut."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browsers import needs_browser
from tests.clock import MovableClock
from tests.examples.chat_page import ChatPage
from tests.examples.conftest import Opening

pytestmark = [needs_browser, pytest.mark.parametrize("backend", ["sqlite"], indirect=True, scope="session")]

# More than the server reads at once.
WHILE_AWAY = [f"While away {number}" for number in range(105)]
HOSTILE = (
    '<img src="/x" onerror="document.title = 1"><script>document.title = 2</script> \N{RIGHT-TO-LEFT OVERRIDE}olleh'
)


@pytest.mark.parametrize("transport", ["socket", "events"])
async def test_everything_written_while_the_line_was_cut_appears_once(
    open_line: Callable[..., Opening], built_page: Path, page: Page, transport: str
) -> None:
    async with open_line(built_page) as (line, elsewhere):
        chat = ChatPage(page)
        await chat.enter(f"{line.url}/?over={transport}", elsewhere, "Create an account")
        await elsewhere.sign_in()
        conversation_id = await elsewhere.create_conversation("Plans")
        await chat.button("Plans").click()
        await elsewhere.write(conversation_id, ["From elsewhere"])
        await expect(chat.messages).to_have_text(["From elsewhere"])

        await line.cut()
        await expect(chat.status).to_have_text("reconnecting")
        await elsewhere.write(conversation_id, WHILE_AWAY)
        await chat.write("Not lost")
        await expect(page.get_by_role("alert").last).to_have_text("The server cannot be reached. Try again.")
        await line.mend()
        await expect(chat.messages).to_have_text(["From elsewhere", *WHILE_AWAY])
        await expect(chat.status).to_have_text("live")
        await chat.button("Send").click()
        await expect(page.locator(".user")).to_have_text(["From elsewhere", *WHILE_AWAY, "Not lost"])
        await expect(chat.replies).to_have_count(1)
        assert chat.hosts == {urlsplit(line.url).netloc}


async def test_earlier_and_new_messages_are_shown_as_text(
    open_line: Callable[..., Opening], built_page: Path, page: Page
) -> None:
    async with open_line(built_page) as (line, elsewhere):
        await elsewhere.sign_up()
        other_id, conversation_id = await elsewhere.create_conversation("Other"), await elsewhere.create_conversation()
        await elsewhere.write(conversation_id, WHILE_AWAY)
        hostile_id = await elsewhere.create_conversation(HOSTILE)
        await elsewhere.write(hostile_id, [HOSTILE])
        await elsewhere.create_task(HOSTILE)
        chat = ChatPage(page)
        await chat.enter(line.url, elsewhere)
        await chat.button(HOSTILE).click()
        await expect(chat.messages).to_have_text([HOSTILE])
        await expect(chat.tasks).to_have_text([HOSTILE])
        await expect(page.get_by_role("heading", level=2).first).to_have_text(HOSTILE)
        await expect(page).to_have_title("Tasktalk")
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
        await page.get_by_label("Email").fill(elsewhere.email)
        await page.get_by_label("Password").fill("a wrong password")
        await chat.button("Sign in").click()
        await expect(page.get_by_role("alert").first).to_contain_text("password")


async def test_the_session_is_refreshed_when_the_token_expires(
    open_line: Callable[..., Opening], built_page: Path, page: Page, clock: MovableClock
) -> None:
    async with open_line(built_page) as (line, elsewhere):
        await elsewhere.sign_up()
        conversation_id = await elsewhere.create_conversation("Plans")
        await elsewhere.write(conversation_id, ["Before"])
        chat = ChatPage(page)
        async with page.expect_websocket() as first:
            await chat.enter(line.url, elsewhere)
        await chat.button("Plans").click()
        await expect(chat.messages).to_have_text(["Before"])
        await first.value
        async with page.expect_websocket():
            clock.move_on(timedelta(minutes=30))
        await elsewhere.sign_in()
        await elsewhere.write(conversation_id, ["After"])
        await expect(chat.messages).to_have_text(["Before", "After"])


async def test_two_pages_see_what_the_other_does(
    open_line: Callable[..., Opening], built_page: Path, browser: Browser
) -> None:
    async with (
        open_line(built_page) as (line, elsewhere),
        await browser.new_context() as here,
        await browser.new_context() as there,
    ):
        one, other = ChatPage(await here.new_page()), ChatPage(await there.new_page())
        await one.enter(line.url, elsewhere, "Create an account")
        await other.enter(line.url, elsewhere)
        await one.page.get_by_label("New task").fill("Water the plants")
        await one.button("Add").click()
        await expect(other.tasks).to_have_text(["Water the plants"])
        await other.box("Water the plants").check()
        await expect(one.box("Water the plants")).to_be_checked()
        await one.ask("add buy milk", "buy milk")
        await other.button("add buy milk").click()
        await expect(other.messages).to_have_text(await one.messages.all_inner_texts())
        await expect(other.tasks).to_have_text(["buy milk", "Water the plants"])
        assert one.errors == other.errors == []
