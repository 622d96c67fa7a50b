"""What the tests of the core are given."""

from collections.abc import Iterator

import pytest

from tests.databases import PostgresDatabases, postgres_server


@pytest.fixture
def own_postgres() -> Iterator[PostgresDatabases]:
    with postgres_server() as server:
        yield PostgresDatabases(server)
