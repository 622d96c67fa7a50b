"""What the tests of accounts are given."""

from collections.abc import AsyncIterator

import pytest

from core.database import Database
from core.settings import Settings
from tests.services.house import House, open_house


@pytest.fixture
async def house(database: Database, settings: Settings) -> AsyncIterator[House]:
    """Give the services of accounts on the shared database."""
    async with open_house(database, settings) as opened:
        yield opened
