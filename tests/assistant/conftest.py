"""What the tests of the assistant are given."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from core.database import Database
from core.settings import Settings
from tests.assistant.chat import Chat
from tests.assistant.provider import Provider, serve_provider
from tests.factories import SignedIn, sign_in
from tests.graph_client import GraphClient
from tests.servers import RunningServer, serve_with


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    """Give a provider's server with an empty script."""
    async with serve_provider() as serving:
        yield serving


@pytest.fixture
def provider_settings(provider: Provider) -> dict[str, Any]:
    """Give the settings that make an assistant use the provider."""
    return {"openai_api_key": "sk-test", "openai_base_url": provider.url}


@pytest.fixture
async def server(settings: Settings, provider_settings: dict[str, Any]) -> AsyncIterator[RunningServer]:
    """Give a server whose assistant uses the scripted provider."""
    async with serve_with(settings, **provider_settings) as running:
        yield running


@pytest.fixture
async def user(database: Database, settings: Settings) -> SignedIn:
    """Give a user who is signed in."""
    return await sign_in(database, settings)


@pytest.fixture
async def chat(server: RunningServer, user: SignedIn) -> AsyncIterator[Chat]:
    """Give the user's talk with the assistant over HTTP."""
    async with httpx2.AsyncClient(base_url=server.url, timeout=60) as http:
        yield Chat(GraphClient(http), user)
