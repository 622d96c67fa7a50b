"""What tests of live updates are given: a conversation, and a server process beside the tests' own server."""

from collections.abc import AsyncIterator

import pytest

from core.database import Database
from core.settings import Settings
from tests.live.processes import ServerProcess, serving
from tests.live.talk import Talk


@pytest.fixture
async def talk(database: Database, settings: Settings) -> Talk:
    """Give a new user's conversation."""
    return await Talk.begin(database, settings)


@pytest.fixture(scope="package")
async def neighbour(settings: Settings) -> AsyncIterator[ServerProcess]:
    """Give a process of its own that serves the shared database."""
    async with serving(settings) as process:
        yield process
