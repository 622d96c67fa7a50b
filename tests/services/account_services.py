"""The account services on a test database, wired as the application does it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import select

from core.database import Database
from core.errors import UnauthenticatedError
from core.ids import new_id
from core.passwords import Argon2Cost, Passwords
from core.settings import Settings
from models import Session
from services.accounts import users
from services.accounts.accounts import Accounts, SessionTokens
from services.accounts.audit import Client
from services.accounts.authentication import Authenticator
from services.accounts.caller import Caller
from services.accounts.rate_limit import AccountRateLimits
from services.query.sql import fetch_all, table_of
from tests.services.rows import read_user

PASSWORD = "correct horse battery"
HERE = "192.0.2.1"
ELSEWHERE = "198.51.100.7"
WRONG = "The email address or the password is wrong."

_SESSIONS = table_of(Session)


@dataclass(frozen=True, slots=True)
class AccountServices:
    """The account services, and shortcuts for the steps that tests begin with."""

    database: Database
    settings: Settings
    authenticator: Authenticator
    accounts: Accounts

    async def sign_up(self, email: str | None = None) -> SessionTokens:
        signed_up = await self.accounts.sign_up(
            email=email or new_email(), password=PASSWORD, name="Ada", client=Client(HERE)
        )
        assert signed_up is not None
        return signed_up

    async def sign_in(self, email: str, password: str = PASSWORD, address: str = HERE) -> SessionTokens:
        return await self.accounts.sign_in(email=email, password=password, client=Client(address))

    async def caller(self, signed_in: SessionTokens) -> Caller:
        return await self.authenticator.authenticate(signed_in.access_token)

    async def is_over(self, signed_in: SessionTokens) -> bool:
        try:
            await self.caller(signed_in)
        except UnauthenticatedError as error:
            return error.message.startswith("The session is over")
        return False

    async def admin(self) -> Caller:
        signed_in = await self.sign_up()
        user_id, make_admin = signed_in.user.id, partial(users.set_admin, allow_unverified=True)
        await self.database.write(lambda session: make_admin(session, user_id, is_admin=True))
        self.authenticator.invalidate(user_id)
        return await self.caller(signed_in)

    async def row(self, user_id: str) -> Any:
        return await read_user(self.database, user_id)

    async def sessions(self, user_id: str) -> list[Any]:
        async with self.database.read() as session:
            return list(await fetch_all(session, select(_SESSIONS).where(_SESSIONS.c.user_id == user_id)))


@asynccontextmanager
async def open_account_services(
    database: Database, settings: Settings, cost: Argon2Cost | None = None
) -> AsyncIterator[AccountServices]:
    passwords = Passwords(cost)
    authenticator = Authenticator(database, settings)
    accounts = Accounts(database, settings, passwords, authenticator, AccountRateLimits(settings))
    yield AccountServices(database, settings, authenticator, accounts)
    await accounts.close()
    passwords.close()
    await authenticator.close()


def new_email() -> str:
    return f"{new_id()}@example.com"
