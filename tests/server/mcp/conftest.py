"""What the tests of MCP are given."""

import pytest

from core.database import Database
from tests.access_tokens import make_access_token
from tests.factories import SignedIn


@pytest.fixture
async def token(database: Database, user: SignedIn) -> str:
    return (await make_access_token(database, user.caller)).text
