"""Fixtures of the REST tests."""

import pytest
from httpx2 import AsyncClient

from core.database import Database
from core.settings import Settings
from tests.factories import SignedIn, make_user, sign_in
from tests.server.rest.client import RestClient


@pytest.fixture(scope="session")
def anyone(http: AsyncClient) -> RestClient:
    return RestClient(http)


@pytest.fixture
def rest(http: AsyncClient, user: SignedIn) -> RestClient:
    return RestClient(http, user)


@pytest.fixture
async def admin(database: Database, settings: Settings, http: AsyncClient) -> RestClient:
    return RestClient(http, await sign_in(database, settings, await make_user(database, is_admin=True)))
