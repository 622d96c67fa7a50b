"""What the tests of the examples are given: the examples' server behind a line that can be cut, and somebody else."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser
from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from core.settings import Settings
from tests.assistant.provider import Provider
from tests.examples.chat_page import ChatPage
from tests.examples.cuttable import Cuttable
from tests.examples.elsewhere import Elsewhere
from tests.graph_client import GraphClient
from tests.npm import NPM, alone_in, npm
from tests.servers import RunningServer, serve_with

CHAT = Path(__file__).parents[2] / "examples" / "chat"


def go_on(provider: Provider) -> None:
    """Let the provider go on until it stalls again."""
    provider.go_on.set()
    provider.go_on.clear()


@pytest.fixture(scope="session")
async def built_page() -> Path:
    if NPM is None:
        pytest.skip("needs npm")
    sources = [path for glob in ("*", "src/*", "public/*") for path in CHAT.glob(glob) if path.is_file()]
    digest = hashlib.sha256(b"\n".join(path.read_bytes() for path in sorted(sources))).hexdigest()
    stamp, dist = CHAT / "node_modules" / ".built", CHAT / "dist"
    async with alone_in(CHAT):
        if not (stamp.is_file() and stamp.read_text() == digest and dist.is_dir()):
            await npm(CHAT, "ci", "--no-audit", "--no-fund", "--fetch-retries=0", or_skip=True)
            await npm(CHAT, "run", "build")
            stamp.write_text(digest)
    return dist


class _Page(StaticFiles):
    """Files of a page, which does with the strictest policy that lets a page do anything."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["content-security-policy"] = "default-src 'self'"
        return response


@pytest.fixture
def page(request: pytest.FixtureRequest) -> Mount | None:
    """Give the chat's page to its tests, as where a proxy serves it in place of what the API says at /."""
    if "chat" not in request.fixturenames:
        return None
    return Mount("/", _Page(directory=request.getfixturevalue("built_page"), html=True))


@pytest.fixture
async def served(
    settings: Settings, page: Mount | None, request: pytest.FixtureRequest
) -> AsyncIterator[RunningServer]:
    """Serve the application: with the page to tests of it, with the provider's model to those that have a provider."""
    names = request.fixturenames
    overrides: dict[str, Any] = request.getfixturevalue("provider_settings") if "provider" in names else {}
    async with serve_with(settings, **overrides) as server:
        if page is not None:
            others = [route for route in server.app.router.routes if getattr(route, "path", None) != "/"]
            server.app.router.routes[:] = [*others, page]
        yield server


@pytest.fixture
async def line(served: RunningServer) -> AsyncIterator[Cuttable]:
    line = Cuttable(served.url)
    await line.mend()
    yield line
    await line.cut()


@pytest.fixture
async def elsewhere(served: RunningServer) -> AsyncIterator[Elsewhere]:
    """Give the same person at another device, who is signed up by the first that signs in."""
    async with served.client() as http:
        yield Elsewhere(GraphClient(http))


@pytest.fixture
async def chat(browser: Browser, line: Cuttable, elsewhere: Elsewhere) -> AsyncIterator[ChatPage]:
    """Give the page, which nobody has entered yet."""
    async with await browser.new_context() as context:
        yield ChatPage(await context.new_page(), line.url, elsewhere)
