"""Who sees which users."""

from core.database import Database
from core.ids import new_id
from core.settings import Settings
from services.accounts.user_list import users_by_id
from tests.factories import make_user, sign_in


async def test_users_by_id(database: Database, settings: Settings) -> None:
    one, other = [await sign_in(database, settings) for _ in range(2)]
    admin = await sign_in(database, settings, await make_user(database, is_admin=True))
    ids = [other.user.id, new_id(), one.user.id, "\0", other.user.id]
    for caller, seen in ((one.caller, {one.user.id}), (admin.caller, {one.user.id, other.user.id})):
        async with database.read() as session:
            rows = await users_by_id(session, caller, ids, ["email"])
        expected = [user_id if user_id in seen else None for user_id in ids]
        assert [row and row.id for row in rows] == expected
