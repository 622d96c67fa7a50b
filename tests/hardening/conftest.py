"""What the tests of faults are given."""

from collections.abc import Iterator

import pytest

from tests.databases import PostgresDatabases, postgres_server


@pytest.fixture
def own_postgres() -> Iterator[PostgresDatabases]:
    """Give a server that a test may stop."""
    with postgres_server() as server:
        yield PostgresDatabases(server)
