"""The conversation that the README shows a picture of."""

import os
from pathlib import Path
from urllib.parse import urlsplit

from playwright.async_api import expect

from tests.browsers import needs_browser, one_database
from tests.examples.chat_page import ChatPage

pytestmark = [needs_browser, one_database]

PICTURE = Path(__file__).parents[2] / "docs" / "images" / "chat.png"
BEFORE = {
    "What is due this week?": "task",
    "Add book flights to Lisbon #travel": "flights to Lisbon",
    "Add pay the rent by Friday, high priority": "the rent",
}


async def test_the_conversation_of_the_picture(chat: ChatPage) -> None:
    await chat.page.set_viewport_size({"width": 1200, "height": 750})
    await chat.page.emulate_media(color_scheme="light")
    await chat.enter("Create an account")
    for content, reply in BEFORE.items():
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
    assert chat.hosts == {urlsplit(chat.url).netloc}
    assert chat.errors == []
