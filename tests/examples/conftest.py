"""What the tests of the examples are given: the examples' server behind a line that can be cut, and somebody else."""

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page
from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from core.settings import Settings
from tests.assistant.provider import Provider, serve_provider
from tests.examples.cuttable import Cuttable
from tests.examples.elsewhere import Elsewhere
from tests.npm import NPM, alone_in, npm
from tests.servers import serve

CHAT = Path(__file__).parents[2] / "examples" / "chat"

Opening = AbstractAsyncContextManager[tuple[Cuttable, Elsewhere]]


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    """Give a provider that says what a test lets it say."""
    async with serve_provider() as serving:
        yield serving


def go_on(provider: Provider) -> None:
    """Let the provider go on until it stalls again."""
    provider.go_on.set()
    provider.go_on.clear()


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    context = await browser.new_context()
    yield await context.new_page()
    await context.close()


@pytest.fixture(scope="session")
async def built_page() -> Path:
    """Build the page, unless that was done with the same sources."""
    if NPM is None:
        pytest.skip("needs npm")
    sources = (
        [path for path in CHAT.iterdir() if path.is_file()] + sorted(CHAT.glob("src/*")) + sorted(CHAT.glob("public/*"))
    )
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
def open_line(settings: Settings) -> Callable[..., Opening]:
    """Serve the application, with a page at its root if one is given, behind a line that can be cut."""
    from server.app import create_app

    @asynccontextmanager
    async def opening(page: Path | None = None, **overrides: object) -> AsyncIterator[tuple[Cuttable, Elsewhere]]:
        app = create_app(settings.model_copy(update=overrides))
        if page is not None:
            # As where a proxy serves the page, which then stands in place of what the API says at /.
            others = [route for route in app.router.routes if getattr(route, "path", None) != "/"]
            app.router.routes[:] = [*others, Mount("/", _Page(directory=page, html=True))]
        async with serve(app) as server, Elsewhere.at(server.url) as elsewhere:
            line = Cuttable(server.url)
            await line.mend()
            try:
                yield line, elsewhere
            finally:
                await line.cut()

    return opening
