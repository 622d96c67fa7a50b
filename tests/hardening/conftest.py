"""What the tests of faults are given."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest

from core.database import Database
from core.settings import Settings
from server.graphql.documents import Documents
from server.graphql.schema import core_schema, schema
from tests.databases import Databases, PostgresDatabases, make_settings, postgres_server
from tests.factories import SignedIn, make_user, sign_in
from tests.hardening.breakable import PostgresServer
from tests.mail import Mailbox, mail_server
from tests.services.account_services import AccountServices, open_account_services


@pytest.fixture
def own_postgres() -> Iterator[PostgresDatabases]:
    """Give a server that a test may stop."""
    with postgres_server() as server:
        yield PostgresDatabases(server)


@pytest.fixture
def servers(own_postgres: PostgresDatabases) -> Iterator[tuple[PostgresServer, PostgresServer]]:
    """Give a primary and a standby of it."""
    wheel = own_postgres.server
    wheel.stop()
    # Beside the other, in a folder in which the servers' user may write.
    primary, standby = (
        PostgresServer(own_postgres, wheel.pgdata),
        PostgresServer(own_postgres, wheel.pgdata / "standby"),
    )
    primary.start()
    with stopped_at_the_end(primary):
        standby.copy_from(primary)
        standby.start(synchronous_commit="on", wal_retrieve_retry_interval="100ms")
        with stopped_at_the_end(standby):
            yield primary, standby


@contextmanager
def stopped_at_the_end(server: PostgresServer) -> Iterator[None]:
    try:
        yield
    finally:
        if (server.data / "postmaster.pid").exists():
            server.stop()


@pytest.fixture
def found() -> Documents:
    return Documents(core_schema(schema), make_settings("sqlite:///unused.db"))


@pytest.fixture
async def services(database: Database, settings: Settings) -> AsyncIterator[AccountServices]:
    async with open_account_services(database, settings) as opened:
        yield opened


@pytest.fixture
async def admin(database: Database, settings: Settings) -> SignedIn:
    return await sign_in(database, settings, await make_user(database, is_admin=True))


@pytest.fixture(scope="module")
async def mail_settings(databases: Databases) -> Settings:
    """Give the settings of a database whose e-mails no other server sends."""
    return make_settings(await databases.create())


@pytest.fixture(scope="module")
async def mail_database(mail_settings: Settings) -> AsyncIterator[Database]:
    database = Database(mail_settings)
    yield database
    await database.close()


@pytest.fixture(scope="module")
async def shared_mailbox() -> AsyncIterator[Mailbox]:
    async with mail_server() as mailbox:
        yield mailbox


@pytest.fixture
async def own_mailbox() -> AsyncIterator[Mailbox]:
    async with mail_server() as mailbox:
        yield mailbox
