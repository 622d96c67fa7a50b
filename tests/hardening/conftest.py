"""What the tests of faults are given."""

from collections.abc import AsyncIterator, Iterator

import pytest

from core.database import Database
from core.settings import Settings
from tests.databases import PostgresDatabases, postgres_server
from tests.factories import SignedIn, make_user, sign_in
from tests.services.account_services import AccountServices, open_account_services


@pytest.fixture
def own_postgres() -> Iterator[PostgresDatabases]:
    """Give a server that a test may stop."""
    with postgres_server() as server:
        yield PostgresDatabases(server)


@pytest.fixture
async def services(database: Database, settings: Settings) -> AsyncIterator[AccountServices]:
    async with open_account_services(database, settings) as opened:
        yield opened


@pytest.fixture
async def admin(database: Database, settings: Settings) -> SignedIn:
    return await sign_in(database, settings, await make_user(database, is_admin=True))
