"""The page of the REST API in a real browser: everything comes from our own server, and one can sign in and ask."""

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


async def test_page_shows_the_operations_and_signs_in_with_our_own_server_alone(
    server: RunningServer, browser: Browser, http: AsyncClient
) -> None:
    given = {"email": f"{new_id()}@example.com", "password": PASSWORD, "name": "Ann"}
    assert (await http.post("/api/auth/register", json=given)).status_code == 201
    async with await browser.new_context(viewport={"width": 1280, "height": 1000}) as context:
        docs = WatchedPage(await context.new_page())
        page = docs.page
        await page.goto(f"{server.url}/docs")
        await expect(page).to_have_title("Tasktalk REST")
        for operation in (
            "POST /api/auth/login",
            "GET /api/tasks",
            "POST /api/chat/stream",
            "DELETE /api/users/{user_id}",
        ):
            method, path = operation.split()
            await expect(page.locator(f'.opblock-{method.lower()} [data-path="{path}"]')).to_be_visible()
        await page.locator(".auth-wrapper .authorize").first.click()
        dialog = page.locator(".dialog-ux")
        await dialog.locator("#oauth_username").fill(given["email"])
        await dialog.locator("#oauth_password").fill(PASSWORD)
        await dialog.get_by_role("button", name="Apply given OAuth2 credentials").click()
        await expect(dialog).to_contain_text("Authorized")
        await dialog.get_by_role("button", name="Close").click()
        await page.locator('.opblock-get [data-path="/api/me"]').click()
        await page.get_by_role("button", name="Execute").click()
        answer = page.locator(".live-responses-table .response .microlight").first
        await expect(answer).to_contain_text(given["email"])
        assert (docs.hosts, docs.errors) == ({urlsplit(server.url).netloc}, [])
