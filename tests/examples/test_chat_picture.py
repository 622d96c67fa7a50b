"""The conversation that the README shows a picture of."""

import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, expect

from tests.browsers import needs_browser
from tests.examples.chat_page import ChatPage
from tests.examples.conftest import Opening

pytestmark = [needs_browser, pytest.mark.parametrize("backend", ["sqlite"], indirect=True, scope="session")]

PICTURE = Path(__file__).parents[2] / "docs" / "images" / "chat.png"
BEFORE = [
    ("What is due this week?", "task"),
    ("Add book flights to Lisbon #travel", "flights to Lisbon"),
    ("Add pay the rent by Friday, high priority", "the rent"),
]


async def test_the_conversation_of_the_picture(
    open_line: Callable[..., Opening], built_page: Path, browser: Browser
) -> None:
    async with (
        open_line(built_page) as (line, elsewhere),
        await browser.new_context(viewport={"width": 1200, "height": 750}, color_scheme="light") as context,
    ):
        chat = ChatPage(await context.new_page())
        await chat.enter(line.url, elsewhere, "Create an account")
        for content, reply in BEFORE:
            await chat.button("+ New conversation").click()
            await chat.ask(content, reply)
        await chat.ask("I have to call the dentist next Tuesday at 10", "dentist")
        await chat.ask("Add buy milk for tomorrow and tell me what's still open", "4 open tasks")
        await chat.box("dentist").check()
        await chat.write("Delete book flights to Lisbon")
        await expect(chat.button("Approve")).to_be_visible()
        await expect(chat.messages.last).not_to_be_empty()
        if os.environ.get("TASKTALK_PICTURES"):
            await chat.page.mouse.move(0, 0)
            await chat.page.screenshot(path=PICTURE, animations="disabled", caret="hide")
        assert chat.hosts == {urlsplit(line.url).netloc}
        assert chat.errors == []
