"""Fixtures of live updates: a conversation, and a second server beside the tests' own."""

from collections.abc import AsyncIterator

import pytest

from core.database import Database
from core.settings import Settings
from tests.live.talk import Talk
from tests.servers import RunningServer, serve_with


@pytest.fixture
async def talk(database: Database, settings: Settings) -> Talk:
    return await Talk.begin(database, settings)


@pytest.fixture(scope="package")
async def neighbour(settings: Settings) -> AsyncIterator[RunningServer]:
    """Give a second server of the shared database, with connections and a broker of its own."""
    async with serve_with(settings) as running:
        yield running
