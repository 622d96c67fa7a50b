"""What the tests of resolvers are given."""

import httpx2
import pytest

from core.database import Database
from core.settings import Settings
from tests.factories import SignedIn, make_user, sign_in
from tests.graph_client import GraphClient


@pytest.fixture(scope="session")
def client(http: httpx2.AsyncClient) -> GraphClient:
    """Give a client of the GraphQL API."""
    return GraphClient(http)


@pytest.fixture
async def user(database: Database, settings: Settings) -> SignedIn:
    """Give a user who is signed in."""
    return await sign_in(database, settings)


@pytest.fixture
async def stranger(database: Database, settings: Settings) -> SignedIn:
    """Give another user who is signed in."""
    return await sign_in(database, settings)


@pytest.fixture
async def admin(database: Database, settings: Settings) -> SignedIn:
    """Give an admin who is signed in."""
    return await sign_in(database, settings, await make_user(database, is_admin=True))
