"""What the tests of resolvers are given."""

import pytest

from core.database import Database
from tests.factories import SignedIn
from tests.graph_client import GraphClient
from tests.histories import Assisted, assisted
from tests.resolvers.user_api import UserApi


@pytest.fixture
def api(client: GraphClient, database: Database, user: SignedIn) -> UserApi:
    return UserApi(client, database, user)


@pytest.fixture
async def run(database: Database, user: SignedIn) -> Assisted:
    return await assisted(database, user)
