"""What the tests of migrations are given."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from core.database import make_engine
from core.database_url import parse_database_url
from core.settings import Settings
from tests.databases import Backend, PostgresDatabases, make_settings


@pytest.fixture
async def empty_settings(backend: Backend, request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Give the settings of a database without any table."""
    if backend == "sqlite":
        return make_settings(f"sqlite:///{tmp_path}/not/there/yet.db")
    databases = PostgresDatabases(request.getfixturevalue("postgres"))
    return make_settings(await databases.create("template0"))


@pytest.fixture
async def engine(empty_settings: Settings) -> AsyncIterator[AsyncEngine]:
    path = Path(empty_settings.database_url.removeprefix("sqlite:///"))
    if path.suffix == ".db":
        path.parent.mkdir(parents=True)
    engine = make_engine(parse_database_url(empty_settings.database_url), empty_settings)
    yield engine
    await engine.dispose()
