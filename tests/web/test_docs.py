"""The page of the REST API in a real browser: everything comes from our own server, and one can sign in and ask."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest
from httpx2 import AsyncClient
from playwright.async_api import Browser, expect

from core.ids import new_id
from tests.browsers import WatchedPage, needs_browser, one_database
from tests.servers import RunningServer

ROOT: Final = Path(__file__).parents[2]
PASSWORD: Final = "correct horse battery staple"

pytestmark = [
    needs_browser,
    one_database,
    pytest.mark.skipif(
        not (ROOT / "web" / "dist" / "docs" / "index.html").is_file(),
        reason="needs web/dist/docs: run `npm ci && npm run build` in web/",
    ),
]


@pytest.fixture
async def docs(server: RunningServer, browser: Browser) -> AsyncIterator[WatchedPage]:
    context = await browser.new_context(viewport={"width": 1280, "height": 1000})
    opened = WatchedPage(await context.new_page())
    await opened.page.goto(f"{server.url}/docs")
    yield opened
    await context.close()


async def test_page_shows_the_operations_and_signs_in_with_our_own_server_alone(
    server: RunningServer, docs: WatchedPage, http: AsyncClient
) -> None:
    await expect(docs.page).to_have_title("Tasktalk REST")
    for operation in ("POST /api/auth/login", "GET /api/tasks", "POST /api/chat/stream", "DELETE /api/users/{user_id}"):
        method, path = operation.split()
        row = docs.page.locator(f'.opblock-{method.lower()} [data-path="{path}"]')
        await expect(row).to_be_visible()
    email = f"{new_id()}@example.com"
    given = {"email": email, "password": PASSWORD, "name": "Ann"}
    assert (await http.post("/api/auth/register", json=given)).status_code == 201
    page = docs.page
    await page.locator(".auth-wrapper .authorize").first.click()
    dialog = page.locator(".dialog-ux")
    await dialog.locator("#oauth_username").fill(email)
    await dialog.locator("#oauth_password").fill(PASSWORD)
    await dialog.get_by_role("button", name="Apply given OAuth2 credentials").click()
    await expect(dialog).to_contain_text("Authorized")
    await dialog.get_by_role("button", name="Close").click()
    await page.locator('.opblock-get [data-path="/api/me"]').click()
    await page.get_by_role("button", name="Execute").click()
    await expect(page.locator(".live-responses-table .response .microlight").first).to_contain_text(email)
    assert docs.hosts == {urlsplit(server.url).netloc}
    assert docs.errors == []
