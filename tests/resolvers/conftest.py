"""What the tests of resolvers are given."""

import pytest

from core.database import Database
from core.settings import Settings
from tests.factories import SignedIn, make_user, sign_in


@pytest.fixture
async def admin(database: Database, settings: Settings) -> SignedIn:
    """Give an admin who is signed in."""
    return await sign_in(database, settings, await make_user(database, is_admin=True))
