"""The cookie of a session in a real browser: a page of another origin signs in, reloads, has two tabs, signs out."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
from fastapi import FastAPI
from playwright.async_api import Browser, BrowserContext, Page
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from core.settings import Settings
from tests.browsers import needs_browser, one_database
from tests.hardening.test_sessions import is_served
from tests.servers import RunningServer, serve, serve_with
from tests.services.account_services import PASSWORD, new_email

pytestmark = [needs_browser, one_database]

SEND: Final = """async ([url, body, token, headers]) => {
    const sent = { "content-type": "application/json", ...headers };
    if (token) sent.authorization = `Bearer ${token}`;
    const request = { method: "POST", credentials: "include", headers: sent, body: JSON.stringify(body) };
    const answer = await fetch(url, request);
    const { data, errors } = await answer.json();
    return { ...Object.values(data ?? { none: { errors } })[0], requestId: answer.headers.get("x-request-id") };
}"""
TOKENS: Final = "{ accessToken refreshToken errors { code } }"
REFRESH: Final = f'mutation {{ refreshSession(input: {{ refreshToken: "" }}) {TOKENS} }}'
COOKIE_MODE: Final = {"x-auth-mode": "cookie", "sentry-trace": "1", "baggage": "a=b"}


class Tab:
    """A page of another origin than the API's, which calls it."""

    def __init__(self, page: Page, api: str) -> None:
        self.page, self.api = page, api

    async def send(self, query: str, token: str | None = None, headers: dict[str, str] | None = None) -> Any:
        sent = COOKIE_MODE if headers is None else headers
        return await self.page.evaluate(SEND, [f"{self.api}/graphql", {"query": query}, token, sent])


@pytest.fixture
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    async with await browser.new_context() as opened:
        yield opened


async def _page(_request: Request) -> HTMLResponse:
    return HTMLResponse("<title>A page of another origin</title>")


async def test_page_of_another_origin_stays_signed_in(settings: Settings, context: BrowserContext) -> None:
    pages = FastAPI(routes=[Route("/", _page)])
    async with serve(pages) as app, serve(pages) as evil, _api(settings, app) as api, api.client() as http:
        tab, other = Tab(await context.new_page(), api.url), Tab(await context.new_page(), api.url)
        for each in (tab, other):
            await each.page.goto(app.url)
        given = f'email: "{new_email()}", password: "{PASSWORD}", name: "Ada"'
        signed_up = await tab.send(f"mutation {{ signUp(input: {{ {given} }}) {TOKENS} }}")
        assert (signed_up["errors"], signed_up["refreshToken"], bool(signed_up["requestId"])) == ([], None, True)
        (cookie,) = await context.cookies(f"{api.url}/graphql")
        assert (cookie["httpOnly"], cookie["secure"], cookie["sameSite"]) == (True, True, "Lax")
        await tab.page.reload()
        assert await tab.page.evaluate("document.cookie") == ""
        # A token that is over comes along.
        here, there = await asyncio.gather(tab.send(REFRESH, "over"), other.send(REFRESH, "over"))
        again = await other.send(REFRESH)
        for each in (here, there, again):
            assert (each["errors"], each["refreshToken"]) == ([], None)
            assert await is_served(http, each["accessToken"])
        # Another site's page is not even asked; ours without the header has no cookie.
        assert (await tab.send(REFRESH, headers={}))["errors"][0]["code"] == "UNAUTHENTICATED"
        stranger = Tab(await context.new_page(), api.url)
        await stranger.page.goto(evil.url)
        with pytest.raises(Exception, match="Failed to fetch"):
            await stranger.send(REFRESH)
        assert (await tab.send("mutation { signOut { errors { code } } }", again["accessToken"]))["errors"] == []
        assert await context.cookies(f"{api.url}/graphql") == []
        assert (await other.send(REFRESH))["errors"] == [{"code": "UNAUTHENTICATED"}]


def _api(settings: Settings, app: RunningServer) -> Any:
    return serve_with(settings, allowed_origins=(app.url,))
