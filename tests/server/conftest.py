"""The door with the sample schema behind it, as in development and as in production."""

from collections.abc import AsyncIterator

import httpx2
import pytest

from core.database import Database
from core.settings import Settings
from tests.factories import SignedIn, sign_in
from tests.graph_client import GraphClient
from tests.server import sample
from tests.server.wire import Wire, connected


@pytest.fixture(scope="session")
async def door(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx2.AsyncClient]:
    settings = sample.sample_settings(tmp_path_factory.mktemp("door"), graphql_max_body_bytes=100_000)
    async with sample.open_door(settings) as client:
        yield client


@pytest.fixture(scope="session")
async def production_door(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx2.AsyncClient]:
    settings = sample.sample_settings(tmp_path_factory.mktemp("production"), environment="production")
    async with sample.open_door(settings) as client:
        yield client


@pytest.fixture
def happenings() -> sample.Happenings:
    """Give what resolvers do, with nothing done yet."""
    sample.happenings = sample.Happenings()
    return sample.happenings


@pytest.fixture
async def user(database: Database, settings: Settings) -> SignedIn:
    """Give a user who is signed in."""
    return await sign_in(database, settings)


@pytest.fixture
async def stranger(database: Database, settings: Settings) -> SignedIn:
    """Give another user who is signed in."""
    return await sign_in(database, settings)


@pytest.fixture(scope="session")
def client(http: httpx2.AsyncClient) -> GraphClient:
    """Give a client of the GraphQL API."""
    return GraphClient(http)


@pytest.fixture
async def wire(door: httpx2.AsyncClient) -> AsyncIterator[Wire]:
    """Give a connection to the door."""
    async with connected(str(door.base_url)) as wire:
        yield wire
