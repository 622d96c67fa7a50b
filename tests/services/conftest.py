"""What the tests of services are given."""

from collections.abc import AsyncIterator

import pytest

from core.database import Database
from core.settings import Settings
from tests.factories import SignedIn
from tests.histories import Assisted, Hand, assisted
from tests.services.account_services import AccountServices, open_account_services


@pytest.fixture
async def services(database: Database, settings: Settings) -> AsyncIterator[AccountServices]:
    async with open_account_services(database, settings) as opened:
        yield opened


@pytest.fixture
def person(database: Database, user: SignedIn) -> Hand:
    return Hand(database, user.caller)


@pytest.fixture
async def run(database: Database, user: SignedIn) -> Assisted:
    return await assisted(database, user)
