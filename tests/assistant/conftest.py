"""What the tests of the assistant are given."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any

import pytest

from core.settings import Settings
from tests.assistant.chat import Chat, chatting, chatting_at
from tests.assistant.provider import Provider
from tests.factories import SignedIn
from tests.servers import RunningServer, serve_with
from tests.waiting import until

ServerWith = Callable[[dict[str, Any]], Awaitable[RunningServer]]
ChatWith = Callable[..., AbstractAsyncContextManager[Chat]]


@pytest.fixture(scope="package")
async def server_with(settings: Settings) -> AsyncIterator[ServerWith]:
    """Give servers by the settings that differ from the tests' own, each started once."""
    running: dict[str, RunningServer] = {}
    async with AsyncExitStack() as stack:

        async def server_with(overrides: dict[str, Any]) -> RunningServer:
            key = repr(sorted(overrides.items()))
            if key not in running:
                running[key] = await stack.enter_async_context(serve_with(settings, **overrides))
            return running[key]

        yield server_with


@pytest.fixture
async def server(
    server_with: ServerWith, provider: Provider, provider_settings: dict[str, Any]
) -> AsyncIterator[RunningServer]:
    """Give a server whose assistant uses the scripted provider; what a test leaves running ends with it."""
    running = await server_with(provider_settings)
    yield running
    provider.end()
    await until(lambda: not running.runtime.assistant._executions)  # noqa: SLF001 - only tests ask for it


@pytest.fixture
async def chat(server: RunningServer, user: SignedIn) -> AsyncIterator[Chat]:
    async with chatting_at(server.url, user) as chat:
        yield chat


@pytest.fixture
def chat_with(settings: Settings, user: SignedIn, provider_settings: dict[str, Any]) -> ChatWith:
    return lambda **overrides: chatting(settings, user, **provider_settings | overrides)
