"""GraphiQL and Swagger UI in a real browser: everything comes from our own server, and the examples work."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest
from httpx2 import AsyncClient
from playwright.async_api import Browser, Page, expect

from core.ids import new_id
from server.http.session_cookie import NAME
from tests.browsers import WatchedPage, needs_browser, one_database
from tests.factories import SignedIn, make_task
from tests.graph_client import GraphClient
from tests.servers import RunningServer

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "docs" / "images" / "graphiql.png"

pytestmark = [
    needs_browser,
    one_database,
    pytest.mark.skipif(
        not (ROOT / "web" / "dist" / "index.html").is_file(),
        reason="needs web/dist: run `npm ci && npm run build` in web/",
    ),
]


class GraphiQLPage(WatchedPage):
    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self.badge, self.response = page.get_by_role("status"), page.locator(".graphiql-response")

    async def sign_in(self, user: SignedIn) -> None:
        """Load the page with the cookie of the user's session."""
        await self.page.context.add_cookies(
            [{"name": NAME, "value": user.refresh_token, "domain": "127.0.0.1", "path": "/graphql", "httpOnly": True}]
        )
        await self.page.reload()
        await self.until_ready()
        await expect(self.badge).to_contain_text(f"Signed in as {user.user.email}")

    async def until_ready(self) -> None:
        """Return once the editors listen: a tab that is clicked before has no effect on them."""
        await expect(self.page.locator(".graphiql-query-editor .view-line").first).to_be_visible()

    async def run(self, operation_name: str) -> None:
        await self.page.get_by_role("tab", name=operation_name).click()
        # GraphiQL takes a tab's operation in with a delay: until then the button runs the tab before.
        await self.page.wait_for_function("name => localStorage['graphiql:query'].includes(name)", arg=operation_name)
        await self.page.get_by_role("button", name="Execute query").click()

    async def write_headers(self, headers: str) -> None:
        await self.page.get_by_role("button", name="Headers", exact=True).click()
        await self.page.get_by_role("region", name="Headers").locator(".monaco-editor:visible").first.click()
        await self.page.keyboard.insert_text(headers)
        await self.page.wait_for_function("headers => localStorage['graphiql:headers'] === headers", arg=headers)

    async def take_picture(self) -> None:
        # The editors show their scroll bars for a moment after a change, and for as long as the mouse is there.
        await self.page.mouse.move(0, 0)
        await self.page.wait_for_timeout(1500)
        PICTURE.parent.mkdir(exist_ok=True)
        await self.page.screenshot(path=PICTURE)


@pytest.fixture
async def graphiql(server: RunningServer, browser: Browser) -> AsyncIterator[GraphiQLPage]:
    context = await browser.new_context(viewport={"width": 1280, "height": 800})
    opened = GraphiQLPage(await context.new_page())
    await opened.page.goto(f"{server.url}/graphql")
    await opened.until_ready()
    yield opened
    await context.close()


async def test_examples_work_from_left_to_right(server: RunningServer, graphiql: GraphiQLPage) -> None:
    await expect(graphiql.page).to_have_title("Tasktalk GraphiQL")
    await expect(graphiql.badge).to_have_text("Not signed in")
    await graphiql.run("SignUp")
    await expect(graphiql.badge).to_contain_text("Signed in as you@example.com")
    await graphiql.run("CreateTask")
    await expect(graphiql.response).to_contain_text('"title": "Water the plants"')
    await graphiql.run("ListTasks")
    await expect(graphiql.response).to_contain_text('"totalCount": 1')
    await expect(graphiql.response).to_contain_text('"title": "Water the plants"')
    if os.environ.get("TASKTALK_PICTURES"):
        await graphiql.take_picture()
    for operation_name, answer in {
        "AskAssistant": '"name": "add_task"',
        "ListConversations": '"role": "ASSISTANT"',
    }.items():
        await graphiql.run("AskAssistant")
        await graphiql.page.get_by_role("menuitem", name=operation_name).click()
        await expect(graphiql.response).to_contain_text(answer)
    await graphiql.run("SignIn")
    await expect(graphiql.response).to_contain_text('"accessToken": "')
    assert graphiql.hosts == {urlsplit(server.url).netloc}
    assert graphiql.errors == []


async def test_subscription_shows_changes_until_it_is_stopped_or_its_session_ends(
    server: RunningServer, graphiql: GraphiQLPage, user: SignedIn, client: GraphClient
) -> None:
    await graphiql.sign_in(user)
    async with graphiql.page.expect_websocket() as opening:
        await graphiql.run("Subscribe")
    socket = await opening.value
    assert socket.url == f"{server.url.replace('http', 'ws')}/graphql"
    await server.until_followed(user.user.id)
    for title in ("Made elsewhere", "And another"):
        await make_task(server.runtime.database, user.caller, title)
        await expect(graphiql.response).to_contain_text(f'"title": "{title}"')
    async with socket.expect_event("close"):
        await graphiql.page.get_by_role("button", name="Stop query").click()
    assert graphiql.hosts == {urlsplit(server.url).netloc}
    assert graphiql.errors == []
    await server.until_followed(user.user.id, 0)
    async with graphiql.page.expect_websocket() as opening:
        await graphiql.page.get_by_role("button", name="Execute query").click()
    await server.until_followed(user.user.id)
    async with (await opening.value).expect_event("close"):
        await client.mutate("signOut", as_=user)
    await expect(graphiql.response).to_contain_text('"code": "UNAUTHENTICATED"')
    await expect(graphiql.badge).to_have_text("The server refused the access token: sign in again")


async def test_session_lasts_in_each_tab_until_one_signs_out(
    graphiql: GraphiQLPage, user: SignedIn, client: GraphClient
) -> None:
    await graphiql.sign_in(user)
    other = GraphiQLPage(await graphiql.page.context.new_page())
    await other.page.goto(graphiql.page.url)
    await expect(other.badge).to_contain_text(f"Signed in as {user.user.email}")
    assert await graphiql.page.evaluate("JSON.stringify(localStorage).includes('eyJ') || document.cookie") == ""
    await graphiql.page.get_by_role("button", name="Sign out").click()
    for each in (graphiql, other):
        await expect(each.badge).to_have_text("Not signed in")
        assert each.errors == []
    assert (await client.execute("{ __typename }", as_=user)).status == 401
    await graphiql.page.reload()
    await expect(graphiql.badge).to_have_text("Not signed in")


async def test_headers_pane_replaces_the_kept_token(graphiql: GraphiQLPage, user: SignedIn) -> None:
    await graphiql.sign_in(user)
    await graphiql.page.get_by_role("tab", name="ListTasks").click()
    await graphiql.write_headers('{"AUTHORIZATION": "Bearer of my own"}')
    await graphiql.run("ListTasks")
    await expect(graphiql.response).to_contain_text('"code": "UNAUTHENTICATED"')
    await expect(graphiql.badge).to_contain_text("Signed in")
    await graphiql.page.reload()
    await graphiql.until_ready()
    await graphiql.page.get_by_role("button", name="Headers", exact=True).click()
    await expect(graphiql.page.get_by_role("region", name="Headers")).to_contain_text("Bearer of my own")
    await graphiql.page.get_by_role("tab", name="Subscribe").click()
    await graphiql.write_headers('{"Authorization": "Bearer of my own"}')
    await graphiql.run("Subscribe")
    await expect(graphiql.response).to_contain_text('"closeCode": 4403')


PASSWORD: Final = "correct horse battery staple"


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
