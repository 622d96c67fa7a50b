"""The console script: help, clear errors, and what each command does."""

import asyncio
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, redirect_stderr, redirect_stdout
from functools import partial
from importlib.metadata import version
from pathlib import Path
from subprocess import CompletedProcess
from typing import Final

import httpx2
import pytest

import migrations
from core.database import Database
from core.ids import new_id
from core.settings import Settings
from models import User
from server.cli import main
from tests.databases import make_settings, only_sqlite, opened
from tests.factories import make_user
from tests.graph_client import GraphClient
from tests.live.processes import ROOT, program
from tests.live.processes import serving as serving_with
from tests.servers import METRICS_HEADERS, METRICS_TOKEN, RunningServer
from tests.waiting import PATIENCE_S, START_PATIENCE_S, until, until_so

TASKTALK: Final = (sys.executable, "-m", "server.cli")
UNREACHABLE: Final = {"DATABASE_URL": "postgres://a:pw@127.0.0.1:1/n"}
COMMANDS: Final = ("serve", "migrate", "restored", "schema", "admin", "demo")


async def tasktalk(*arguments: str, **environment: str) -> CompletedProcess[str]:
    """Run a command in this process, which spares its imports."""
    output, errors = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(output), redirect_stderr(errors):
        for name, value in environment.items():
            patch.setenv(name, value)
        try:
            status = await asyncio.to_thread(main, arguments)
        except SystemExit as stop:
            status = int(stop.code or 0)
    return CompletedProcess(arguments, status, output.getvalue(), errors.getvalue())


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def variables(settings: Settings) -> dict[str, str]:
    return {"DATABASE_URL": settings.database_url, "SECRET_KEY": settings.secret_key}


def new_database(folder: Path) -> dict[str, str]:
    """Return the variables of a server in production whose database has no tables yet."""
    database_url = f"sqlite:///{folder}/empty.db"
    return {"ENVIRONMENT": "production", "SECRET_KEY": "k" * 32, "DATABASE_URL": database_url}


@asynccontextmanager
async def serving(**environment: str) -> AsyncIterator[tuple[str, str]]:
    """Run `tasktalk serve` with these settings alone, give what it is at which URL, and let Ctrl-C end it."""
    given = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"} | environment
    async with program(*TASKTALK, "serve", "--port", "0", env=given) as process:
        assert process.stdout is not None
        greeting = (await process.stdout.readline()).decode()
        found = re.fullmatch(r"(\w+) at (http://127\.0\.0\.1:\d+)/graphql\n", greeting)
        assert found is not None, greeting
        yield found[1], found[2]
        process.send_signal(signal.SIGINT)
        await asyncio.wait_for(process.communicate(), START_PATIENCE_S)
        assert process.returncode == 0


async def until_answered(url: str) -> httpx2.Response:
    """Return what /ready answers, but for a database that is only slower than a probe waits."""
    transport = httpx2.AsyncHTTPTransport(retries=9)
    async with (
        asyncio.timeout(START_PATIENCE_S),
        httpx2.AsyncClient(base_url=url, transport=transport, timeout=PATIENCE_S) as client,
    ):
        while "does not answer" in (response := await client.get("/ready")).text:
            pass
    return response


def test_help_names_every_command_and_loads_nothing_of_the_server() -> None:
    command = [sys.executable, "-X", "importtime", *TASKTALK[1:], "--help"]
    ended = subprocess.run(command, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True)
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in ended.stderr.splitlines()}
    assert "argparse" in loaded
    assert loaded & {"fastapi", "pydantic", "sqlalchemy", "strawberry"} == set()
    assert [name for name in COMMANDS if not re.search(rf"^ +{name} +\w", ended.stdout, re.MULTILINE)] == []


async def test_help_version_and_schema_need_no_setting(folder: Path) -> None:
    for command in COMMANDS:
        ended = await tasktalk(command, "--help")
        assert ended.returncode == 0
        assert re.match(rf"usage: tasktalk {command} .*\n\n[A-Z].*\.\n\n", ended.stdout, re.DOTALL)
    ended = await tasktalk("--version")
    assert (ended.returncode, ended.stdout) == (0, f"tasktalk {version('tasktalk')}\n")
    ended = await tasktalk("schema", ENVIRONMENT="production")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "type Query {" in ended.stdout
    assert names_in(folder) == set()


@pytest.mark.parametrize(
    ("arguments", "environment", "line"),
    [
        ((), {}, "the following arguments are required: COMMAND"),
        (("serve", "--port", "70000"), {}, "'70000' is no port; give a number from 0 to 65535"),
        (("serve", "--workers", "0"), {}, "'0' is no number of processes; give 1 or more"),
        (("serve",), {"API_PORT": "x"}, "API_PORT is wrong: "),
        (("serve",), {"ENVIRONMENT": "production"}, "SECRET_KEY is wrong: it must have at least 32 bytes"),
        (("migrate",), {"DATABASE_URL": "mysql://h/n"}, "DATABASE_URL is wrong: mysql:// is not supported"),
        (("migrate",), UNREACHABLE, "postgres://a:***@127.0.0.1:1/n cannot be used"),
        (("serve",), UNREACHABLE | {"API_PORT": "0"}, "cannot be used"),
        (("admin", "a@example.com"), UNREACHABLE, "cannot be used"),
        (("admin", "a@example.com"), {}, "a@example.com. The database is sqlite:////"),
        (("demo", "ann"), {}, "'ann' is no email address"),
        (("serve", "--host", "999.1.1.1"), {}, "; choose another with --host or API_HOST"),
    ],
)
async def test_error_is_printed_in_one_line(arguments: tuple[str, ...], environment: dict[str, str], line: str) -> None:
    ended = await tasktalk(*arguments, **environment)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert line in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr
    assert ":pw@" not in ended.stderr


async def test_database_without_tables_names_the_migrate_command(folder: Path) -> None:
    ended = await tasktalk("admin", "a@example.com", **new_database(folder))
    assert ended.returncode == 2
    assert ended.stderr.endswith("cannot be used: no such table: users; run `tasktalk migrate` first\n")


async def test_migrate_makes_the_default_database(folder: Path) -> None:
    for _ in range(2):
        ended = await tasktalk("migrate")
        assert (ended.returncode, ended.stderr) == (0, "")
        assert ended.stdout == f"The database is at revision {migrations.head_revision()}, the newest.\n"
    async with opened(make_settings(f"sqlite:///{folder}/data/tasktalk.db")) as database:
        await make_user(database)


async def test_admin_makes_an_account_an_admin(database: Database, settings: Settings) -> None:
    user = await make_user(database, email_verified=True)
    ended = await tasktalk("admin", user.email.upper(), **variables(settings))
    assert (ended.returncode, ended.stdout) == (0, f"{user.email} is an admin now.\n")
    async with database.read() as session:
        assert (await session.get_one(User, user.id)).is_admin


async def test_demo_makes_an_account_that_can_sign_in_and_fills_it_once(
    server: RunningServer, client: GraphClient, settings: Settings
) -> None:
    assert server.runtime.settings == settings
    address = f"{new_id()}@example.com"
    ended = await tasktalk("demo", address, **variables(settings))
    assert (ended.returncode, ended.stderr) == (0, "")
    told = rf"{address} has a month of (\d+) tasks and (\d+) conversations now\. Its password is (\S+)\n"
    found = re.fullmatch(told, ended.stdout)
    assert found is not None
    token = (await client.mutate("signIn", {"email": address, "password": found[3]}))["accessToken"]
    counts = "{ tasks { totalCount } conversations { totalCount nodes { messages { totalCount } } } }"
    data = await client.query(counts, as_=token)
    assert data["tasks"]["totalCount"] == int(found[1]) >= 40
    assert data["conversations"]["totalCount"] == int(found[2])
    assert all(node["messages"]["totalCount"] > 0 for node in data["conversations"]["nodes"])
    again = await tasktalk("demo", address, **variables(settings))
    assert (again.returncode, again.stdout) == (2, "")
    assert "this account has tasks already" in again.stderr


async def test_serve_in_an_empty_folder_migrates_prints_the_address_and_trusts_no_proxy(folder: Path) -> None:
    async with serving(SIGN_IN_ATTEMPTS="1") as (name, url):
        assert (name, (await until_answered(url)).status_code) == ("GraphiQL", 200)
        # No proxy is named, so nobody may say where a client is.
        assert await codes_of_guesses(url) == ["UNAUTHENTICATED", "RATE_LIMITED"]
    assert names_in(folder / "data") >= {"secret_key", "tasktalk.db"}


async def test_serve_in_production_leaves_the_migrations_to_their_command(folder: Path) -> None:
    async with serving(**new_database(folder)) as (name, url):
        response = await until_answered(url)
        assert (name, response.status_code, "tasktalk migrate" in response.text) == ("GraphQL", 503, True)


@only_sqlite
async def test_workers_share_metrics_lose_no_log_line_and_trust_the_named_proxy(settings: Settings) -> None:
    proxy = {"SIGN_IN_ATTEMPTS": "1", "FORWARDED_ALLOW_IPS": "127.0.0.1", "METRICS_TOKEN": METRICS_TOKEN}
    environment = {"ENVIRONMENT": "production", "PYTHONUNBUFFERED": "1"} | proxy
    async with serving_with(settings, workers=2, **environment) as running:
        for _ in range(20):
            assert '{"__typename":"Query"}' in await answer(running.url, "/graphql?query=query Shared{__typename}")
        # What the other worker has counted is shared within a second.
        for line in (
            'tasktalk_graphql_operations_total{name="other",outcome="ok"} 20',
            "tasktalk_pool_connections_allowed 30",
        ):
            await until_so(partial(has_told, running.url, f"\n{line}\n"))
        assert await codes_of_guesses(running.url) == ["UNAUTHENTICATED", "UNAUTHENTICATED"]
        await running.stop()
        await until(lambda: operations_in(running.lines).count("Shared") == 20)


def operations_in(lines: list[str]) -> list[str | None]:
    return [json.loads(line).get("operation") for line in lines if line.startswith("{")]


async def codes_of_guesses(url: str) -> list[str]:
    """Sign in wrongly over one connection as if from two addresses, and return what is answered."""
    guess = 'mutation { signIn(input: {email: "ann@example.com", password: "a guess"}) { errors { code } } }'
    codes: list[str] = []
    async with httpx2.AsyncClient(base_url=url, timeout=PATIENCE_S) as client:
        for address in ("192.0.2.1", "192.0.2.2"):
            response = await client.post("/graphql", json={"query": guess}, headers={"x-forwarded-for": address})
            codes += [error["code"] for error in response.json()["data"]["signIn"]["errors"]]
    return codes


async def answer(url: str, path: str) -> str:
    """Ask over a connection of its own, which any of the workers may take."""
    async with httpx2.AsyncClient(base_url=url, timeout=PATIENCE_S) as client:
        return (await client.get(path, headers=METRICS_HEADERS if path == "/metrics" else {})).text


async def has_told(url: str, line: str) -> bool:
    return line in await answer(url, "/metrics")


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_port_in_use_is_an_error_before_anything_starts(workers: str, folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = await tasktalk("serve", "--port", str(port), "--workers", workers)
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"tasktalk: cannot listen on 127.0.0.1:{port}: Address already in use; stop what ")
    assert not (folder / "data" / "tasktalk.db").exists()
