"""What the tests of parity are given."""

import httpx2
import pytest

from core.database import Database
from tests.parity.task_apis import Served
from tests.servers import RunningServer


@pytest.fixture(scope="session")
def served(server: RunningServer, http: httpx2.AsyncClient, database: Database) -> Served:
    return Served(server, http, database)
