"""The example page in a real browser: over either transport it shows each message once, whatever is cut."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from tests.browsers import WatchedPage, needs_browser
from tests.examples.conftest import Opening
from tests.examples.elsewhere import Elsewhere

pytestmark = [needs_browser, pytest.mark.parametrize("backend", ["sqlite"], indirect=True, scope="session")]

# More than the server reads at once.
WHILE_AWAY = [f"While away {number}" for number in range(105)]


class LivePage(WatchedPage):
    """The page as somebody uses it."""

    @property
    def status(self) -> Locator:
        return self.page.locator("#status")

    @property
    def messages(self) -> Locator:
        return self.page.get_by_role("list", name="Messages").get_by_role("listitem")

    async def enter(self, elsewhere: Elsewhere, button: str) -> None:
        await self.page.get_by_label("Email").fill(elsewhere.email)
        await self.page.get_by_label("Password").fill(elsewhere.password)
        await self.page.get_by_role("button", name=button).click()

    async def create_conversation(self, title: str) -> None:
        await self.page.get_by_label("Title").fill(title)
        await self.page.get_by_role("button", name="Create").click()

    async def write(self, content: str) -> None:
        await self.page.get_by_label("Message", exact=True).fill(content)
        await self.page.get_by_role("button", name="Send").click()


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    context = await browser.new_context()
    yield await context.new_page()
    await context.close()


@pytest.mark.parametrize("transport", ["socket", "events"])
async def test_everything_written_while_the_line_was_cut_appears_once(
    open_line: Callable[..., Opening], built_page: Path, page: Page, transport: str
) -> None:
    async with open_line(built_page) as (line, elsewhere):
        live = LivePage(page)
        await page.goto(line.url)
        await live.enter(elsewhere, "Create an account")
        await page.locator("#transport").select_option(transport)
        await expect(live.status).to_have_text("live")
        await live.create_conversation("Plans")
        await live.write("From the page")
        await expect(live.messages).to_have_text(["From the page"])
        await elsewhere.sign_in()
        (conversation_id,) = await elsewhere.conversation_ids()
        await elsewhere.write(conversation_id, ["From elsewhere"])
        await expect(live.messages).to_have_text(["From the page", "From elsewhere"])

        await line.cut()
        await expect(live.status).to_have_text("reconnecting")
        await elsewhere.write(conversation_id, WHILE_AWAY)
        await live.write("Not lost")
        await expect(page.get_by_role("alert").last).to_have_text("The server cannot be reached. Try again.")
        await line.mend()
        await expect(live.messages).to_have_text(["From the page", "From elsewhere", *WHILE_AWAY], timeout=15_000)
        await expect(live.status).to_have_text("live")
        await page.get_by_role("button", name="Send").click()
        await expect(live.messages).to_have_count(len(WHILE_AWAY) + 3)
        await expect(live.messages.last).to_have_text("Not lost")
        assert live.hosts == {urlsplit(line.url).netloc}


async def test_what_was_there_before_is_shown_and_the_transport_can_be_switched(
    open_line: Callable[..., Opening], built_page: Path, page: Page
) -> None:
    async with open_line(built_page) as (line, elsewhere):
        await elsewhere.sign_up()
        other_id, conversation_id = await elsewhere.create_conversation("Other"), await elsewhere.create_conversation()
        await elsewhere.write(conversation_id, WHILE_AWAY)
        live = LivePage(page)
        await page.goto(line.url)
        await live.enter(elsewhere, "Sign in")
        await page.get_by_role("button", name="Plans").click()
        await expect(live.messages).to_have_text(WHILE_AWAY)
        for transport in ("events", "socket"):
            await page.locator("#transport").select_option(transport)
            await expect(live.status).to_have_text("live")
            await elsewhere.write(other_id, ["In another conversation"])
            await elsewhere.write(conversation_id, [f"Over {transport}"])
            await expect(live.messages.last).to_have_text(f"Over {transport}")
        await expect(live.messages).to_have_count(len(WHILE_AWAY) + 2)
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_label("Email")).to_be_visible()
        assert live.errors == []


async def test_the_session_is_refreshed_when_the_token_expires(
    open_line: Callable[..., Opening], built_page: Path, page: Page
) -> None:
    async with open_line(built_page, access_token_expire_minutes=0.05) as (line, elsewhere):
        live = LivePage(page)
        await page.goto(line.url)
        async with page.expect_websocket() as first:
            await live.enter(elsewhere, "Create an account")
        await live.create_conversation("Plans")
        await live.write("Before")
        await expect(live.messages).to_have_text(["Before"])
        async with page.expect_websocket():
            await first.value
        await elsewhere.sign_in()
        (conversation_id,) = await elsewhere.conversation_ids()
        await elsewhere.write(conversation_id, ["After"])
        await expect(live.messages).to_have_text(["Before", "After"])
