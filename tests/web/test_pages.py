"""GraphiQL and Swagger UI in a real browser: everything comes from our own server, and the examples work."""

import json
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from core.settings import Settings
from core.tokens import LinkPurpose, LinkTokens
from services.accounts.accounts import find_by_email
from core.ids import new_id
from server.http.session_cookie import NAME
from tests.browsers import WatchedPage, needs_browser, one_database
from tests.databases import run_sql
from tests.factories import SignedIn, make_named, make_task, sign_in
from tests.graph_client import GraphClient
from tests.servers import RunningServer, serve_with

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


YOU: Final = {"email": "me@example.com", "password": "correct horse battery staple"}


class DocsPage(WatchedPage):
    async def sign_in(self) -> None:
        """Sign in by the dialog, which asks for an e-mail address and a password alone."""
        await self.page.locator(".auth-wrapper .authorize").first.click()
        dialog = self.page.locator(".dialog-ux")
        leave, username = dialog.get_by_role("button", name="Remove authorization"), dialog.locator("#oauth_username")
        await expect(leave.or_(username)).to_be_visible()
        if await leave.is_visible():
            await leave.click()
            await expect(username).to_be_visible()
        asked = dialog.locator("input:visible, select:visible")
        assert [await asked.nth(place).get_attribute("type") for place in range(await asked.count())] == [
            "text",
            "password",
        ]
        await asked.first.fill(YOU["email"])
        await asked.last.fill(YOU["password"])
        await dialog.get_by_role("button", name="Apply given OAuth2 credentials").click()
        await expect(dialog).to_contain_text("Authorized")
        await dialog.get_by_role("button", name="Close").click()

    async def press(self, operation: dict[str, Any], ids: dict[str, str], body: dict[str, str] | None = None) -> int:
        """Press Execute, with what is shown, the ids of the path and the body that is given; return the status."""
        block = self.page.locator(f"#operations-{operation['tags'][0]}-{operation['operationId']}")
        summary = block.locator(".opblock-summary-control")
        # A click of the mouse would scroll there first, which takes a second on this long page.
        await summary.evaluate("element => element.click()")
        for parameter in operation.get("parameters", ()):
            if parameter["in"] == "path":
                await write(block.locator(f'tr[data-param-name="{parameter["name"]}"] input'), ids[parameter["name"]])
        if body is not None:
            await write(block.locator("textarea"), json.dumps(body))
        async with self.page.expect_response(lambda response: "/api/" in response.url) as answering:
            await block.get_by_role("button", name="Execute", exact=True).evaluate("element => element.click()")
        await summary.evaluate("element => element.click()")
        return (await answering.value).status


async def write(field: Locator, text: str) -> None:
    """Fill a field, whose text the page takes once it is left."""
    await field.fill(text)
    await field.blur()


async def test_each_operation_works_when_pressed(fresh_settings: Settings, browser: Browser) -> None:
    # E-mails wait for a server that is not there, so that their links can be read off their rows.
    email = {"email_url": "smtp://127.0.0.1:9", "email_from": "tasktalk@example.com"}
    async with (
        serve_with(fresh_settings, **email) as server,
        server.client() as http,
        await browser.new_context(viewport={"width": 1280, "height": 1000}, color_scheme="dark") as context,
    ):
        docs = DocsPage(await context.new_page())
        await docs.page.goto(f"{server.url}/docs")
        await expect(docs.page).to_have_title("Tasktalk REST")
        assert "dark-mode" in (await docs.page.locator("html").get_attribute("class") or "")
        paths = (await http.get("/openapi.json")).json()["paths"].values()
        operations = {each["operationId"]: each for methods in paths for each in methods.values()}
        pressed = {"register": await docs.press(operations.pop("register"), {})}
        database = server.runtime.database
        await database.write(lambda session: run_sql(session, "UPDATE users SET is_admin = true"))
        await docs.sign_in()
        login = await http.post("/api/auth/login", data={"username": YOU["email"], "password": YOU["password"]})
        async with database.read() as session:
            you = await sign_in(database, fresh_settings, await find_by_email(session, YOU["email"]))
        known = {"refresh": {"refresh_token": login.json()["refresh_token"]}, "deleteMe": {"password": YOU["password"]}}
        last = [(name, operations.pop(name)) for name in ENDING_SESSIONS]
        for name, operation in [*operations.items(), *last]:
            ids = await make_named(database, you, has_ended=name not in {"cancelRun", "resolveToolCall"})
            known["regenerateReply"] = {"message_id": ids["message_id"]}
            known["verifyEmail"] = {"token": await token_of(server, LinkPurpose.VERIFY_EMAIL, "VERIFY_EMAIL")}
            token = await token_of(server, LinkPurpose.RESET_PASSWORD, "RESET_PASSWORD")
            known["resetPassword"] = {"token": token, "new_password": YOU["password"]}
            pressed[name] = await docs.press(operation, ids, known.get(name))
            if name in ENDING_SESSIONS[:-1]:
                await docs.sign_in()
        assert {name: status for name, status in pressed.items() if status >= 300} == {}
        assert (docs.hosts, docs.errors) == ({urlsplit(server.url).netloc}, [])


ENDING_SESSIONS: Final = ("resetPassword", "logout", "deleteMe")


async def token_of(server: RunningServer, purpose: LinkPurpose, kind: str) -> str:
    """Return the token of the latest e-mail of a kind; empty where there is none."""
    async with server.runtime.database.read() as session:
        latest = "SELECT id FROM emails WHERE kind = :kind ORDER BY created_at DESC LIMIT 1"
        email_id = await run_sql(session, latest, kind=kind)
    tokens = LinkTokens(server.runtime.settings.secret_key)
    return tokens.issue(purpose, str(email_id)) if email_id else ""
