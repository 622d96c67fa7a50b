"""What the tests of parity are given."""

import httpx2
import pytest

from core.database import Database
from core.settings import Settings
from tests.factories import SignedIn, sign_in
from tests.parity.task_apis import Served
from tests.servers import RunningServer


@pytest.fixture(scope="session")
def served(server: RunningServer, http: httpx2.AsyncClient, database: Database) -> Served:
    """Give the server with its apis."""
    return Served(server, http, database)


@pytest.fixture
async def user(database: Database, settings: Settings) -> SignedIn:
    """Give a user who is signed in."""
    return await sign_in(database, settings)


@pytest.fixture
async def stranger(database: Database, settings: Settings) -> SignedIn:
    """Give another user who is signed in."""
    return await sign_in(database, settings)
