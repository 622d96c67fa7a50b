"""Clients of the application with the sample schema, in development and in production, and users."""

from collections.abc import AsyncIterator

import pytest
from httpx2 import AsyncClient

from tests.server import sample
from tests.server.wire import Wire, connected


@pytest.fixture(scope="session")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[AsyncClient]:
    settings = sample.sample_settings(tmp_path_factory.mktemp("api"), graphql_max_body_bytes=100_000)
    async with sample.open_api(settings) as client:
        yield client


@pytest.fixture(scope="session")
async def production_api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[AsyncClient]:
    settings = sample.sample_settings(tmp_path_factory.mktemp("production"), environment="production")
    async with sample.open_api(settings) as client:
        yield client


@pytest.fixture
def happenings() -> sample.Happenings:
    sample.happenings = sample.Happenings()
    return sample.happenings


@pytest.fixture
async def wire(api: AsyncClient) -> AsyncIterator[Wire]:
    async with connected(str(api.base_url)) as wire:
        yield wire
