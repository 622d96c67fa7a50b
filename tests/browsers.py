"""A real browser for the tests of pages: Chromium, where there is one."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright, expect

from tests.waiting import START_PATIENCE_S

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_CHROMIUM = next(filter(None, map(shutil.which, _NAMES)), None)
_ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

needs_browser = pytest.mark.skipif(
    _CHROMIUM is None, reason=f"needs a browser: none of {', '.join(_NAMES)} is on the path"
)

# What a page does depends on no database.
one_database = pytest.mark.parametrize("backend", ["sqlite"], indirect=True, scope="session")


@asynccontextmanager
async def run_browser() -> AsyncIterator[Browser]:
    """Start a browser; each of its contexts is as good as a new one."""
    async with async_playwright() as playwright:
        patience_ms = START_PATIENCE_S * 1_000
        expect.set_options(timeout=patience_ms)
        browser = await playwright.chromium.launch(executable_path=_CHROMIUM, args=_ARGUMENTS, timeout=patience_ms)
        yield browser
        await browser.close()


@dataclass
class WatchedPage:
    """A page, and what goes on behind it."""

    page: Page
    errors: list[str] = field(default_factory=list)
    requested: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.context.set_default_timeout(START_PATIENCE_S * 1_000)
        self.page.context.on("request", lambda request: self.requested.append(request.url))
        self.page.on("websocket", lambda socket: self.requested.append(socket.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._note_console)

    def _note_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(message.text)

    @property
    def hosts(self) -> set[str]:
        """Where the requests went; data: and blob: addresses name no host."""
        return {urlsplit(url).netloc for url in self.requested} - {""}
