"""Fixtures of the REST tests."""

import pytest
from httpx2 import AsyncClient

from tests.factories import SignedIn
from tests.server.rest.client import RestClient


@pytest.fixture(scope="session")
def anyone(http: AsyncClient) -> RestClient:
    return RestClient(http)


@pytest.fixture
def rest(http: AsyncClient, user: SignedIn) -> RestClient:
    return RestClient(http, user)


@pytest.fixture
def admin(http: AsyncClient, admin: SignedIn) -> RestClient:
    return RestClient(http, admin)
