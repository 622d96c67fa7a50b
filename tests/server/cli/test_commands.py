"""The console script: help, clear errors, and what each command does."""

import asyncio
import io
import json
import re
import signal
import socket
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Final

import httpx2
import pytest

import migrations
from core.database import Database
from core.ids import new_id
from core.settings import Settings
from models import User
from server.app import create_app
from server.cli import main
from tests.databases import make_settings, only_sqlite, opened
from tests.factories import make_user
from tests.server.processes import ROOT, TASKTALK, serving, until_ready, variables
from tests.servers import serve
from tests.waiting import PATIENCE_S, START_PATIENCE_S, until_so

COMMANDS: Final = ("serve", "migrate", "schema", "admin", "demo")


@dataclass(frozen=True, slots=True)
class Ended:
    status: int
    output: str
    errors: str


async def tasktalk(*arguments: str, **environment: str) -> Ended:
    """Run a command in this process, which spares its imports."""
    output, errors = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(output), redirect_stderr(errors):
        for name, value in environment.items():
            patch.setenv(name, value)
        try:
            status = await asyncio.to_thread(main, arguments)
        except SystemExit as stop:
            status = int(stop.code or 0)
    return Ended(status, output.getvalue(), errors.getvalue())


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the empty folder that the commands run in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_help_names_every_command_and_loads_nothing_of_the_server() -> None:
    command = [sys.executable, "-X", "importtime", *TASKTALK[1:], "--help"]
    ended = subprocess.run(command, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True)
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in ended.stderr.splitlines()}
    assert "argparse" in loaded
    assert loaded & {"fastapi", "pydantic", "sqlalchemy", "strawberry"} == set()
    assert [name for name in COMMANDS if not re.search(rf"^ +{name} +\w", ended.stdout, re.MULTILINE)] == []


@pytest.mark.parametrize("command", COMMANDS)
async def test_each_command_has_help(command: str, folder: Path) -> None:
    ended = await tasktalk(command, "--help")
    assert ended.status == 0
    assert ended.output.startswith(f"usage: tasktalk {command} ")
    assert re.search(r"\n\n[A-Z].*\.\n\n", ended.output, re.DOTALL)
    assert names_in(folder) == set()


async def test_version_and_schema_need_no_setting(folder: Path) -> None:
    ended = await tasktalk("--version")
    assert (ended.status, ended.output) == (0, f"tasktalk {version('tasktalk')}\n")
    ended = await tasktalk("schema", ENVIRONMENT="production")
    assert (ended.status, ended.errors) == (0, "")
    assert "type Query {" in ended.output
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
        (
            ("migrate",),
            {"DATABASE_URL": "postgres://a:pw@127.0.0.1:1/n"},
            "postgres://a:***@127.0.0.1:1/n cannot be used",
        ),
        (("serve",), {"DATABASE_URL": "postgres://a:pw@127.0.0.1:1/n", "API_PORT": "0"}, "cannot be used"),
        (("admin", "a@example.com"), {"DATABASE_URL": "postgres://a:pw@127.0.0.1:1/n"}, "cannot be used"),
        (("admin", "a@example.com"), {}, "a@example.com. The database is sqlite:////"),
        (("demo", "ann"), {}, "'ann' is no email address"),
        (("serve", "--host", "999.1.1.1"), {}, "; choose another with --host or API_HOST"),
    ],
)
async def test_error_is_printed_in_one_line(arguments: tuple[str, ...], environment: dict[str, str], line: str) -> None:
    ended = await tasktalk(*arguments, **environment)
    assert ended.status == 2
    assert line in ended.errors.splitlines()[-1]
    assert "Traceback" not in ended.errors
    assert ended.output == ""
    assert ":pw@" not in ended.errors


async def test_database_without_tables_names_the_migrate_command(folder: Path) -> None:
    production = {"ENVIRONMENT": "production", "SECRET_KEY": "k" * 32, "DATABASE_URL": f"sqlite:///{folder}/empty.db"}
    ended = await tasktalk("admin", "a@example.com", **production)
    assert ended.status == 2
    assert ended.errors.endswith("cannot be used: no such table: users; run `tasktalk migrate` first\n")


async def test_migrate_makes_the_default_database(folder: Path) -> None:
    for _ in range(2):
        ended = await tasktalk("migrate")
        assert (ended.status, ended.errors) == (0, "")
        assert ended.output == f"The database is at revision {migrations.head_revision()}, the newest.\n"
    async with opened(make_settings(f"sqlite:///{folder}/data/tasktalk.db")) as database:
        await make_user(database)


async def test_admin_makes_an_account_an_admin(database: Database, settings: Settings) -> None:
    user = await make_user(database)
    ended = await tasktalk("admin", user.email.upper(), **variables(settings))
    assert (ended.status, ended.output) == (0, f"{user.email} is an admin now.\n")
    async with database.read() as session:
        assert (await session.get_one(User, user.id)).is_admin


async def test_demo_makes_an_account_that_can_sign_in_and_fills_it_once(settings: Settings) -> None:
    address = f"{new_id()}@example.com"
    ended = await tasktalk("demo", address, **variables(settings))
    assert (ended.status, ended.errors) == (0, "")
    found = re.fullmatch(
        rf"{address} has a month of (\d+) tasks and (\d+) conversations now\. Its password is (\S+)\n", ended.output
    )
    assert found is not None
    async with (
        serve(create_app(settings)) as server,
        httpx2.AsyncClient(base_url=server.url, timeout=PATIENCE_S) as client,
    ):
        sign_in = "mutation ($input: SignInInput!) { signIn(input: $input) { accessToken } }"
        signed_in = await client.post(
            "/graphql", json={"query": sign_in, "variables": {"input": {"email": address, "password": found[3]}}}
        )
        headers = {"Authorization": f"Bearer {signed_in.json()['data']['signIn']['accessToken']}"}
        counts = "{ tasks { totalCount } conversations { totalCount nodes { messages { totalCount } } } }"
        data = (await client.post("/graphql", json={"query": counts}, headers=headers)).json()["data"]
    assert data["tasks"]["totalCount"] == int(found[1]) >= 40
    assert data["conversations"]["totalCount"] == int(found[2])
    assert all(node["messages"]["totalCount"] > 0 for node in data["conversations"]["nodes"])
    again = await tasktalk("demo", address, **variables(settings))
    assert (again.status, again.output) == (2, "")
    assert "this account has tasks already" in again.errors


async def test_demo_refuses_what_is_no_address() -> None:
    ended = await tasktalk("demo", "ann")
    assert (ended.status, ended.output) == (2, "")
    assert "'ann' is no email address" in ended.errors


async def test_serve_in_an_empty_folder_migrates_prints_the_address_and_trusts_no_proxy(folder: Path) -> None:
    async with serving("--port", "0", SIGN_IN_ATTEMPTS="1") as (process, greeting):
        found = re.fullmatch(r"GraphiQL at (http://127\.0\.0\.1:\d+)/graphql\n", greeting)
        assert found is not None
        assert (await until_ready(found[1])).status_code == 200
        # No proxy is named, so nobody may say where a client is.
        assert await codes_of_guesses(found[1]) == ["UNAUTHENTICATED", "RATE_LIMITED"]
        process.send_signal(signal.SIGINT)
        await asyncio.wait_for(process.communicate(), START_PATIENCE_S)
        assert process.returncode == 0
    assert names_in(folder / "data") >= {"secret_key", "tasktalk.db"}


async def test_serve_in_production_leaves_the_migrations_to_their_command(folder: Path) -> None:
    production = {"ENVIRONMENT": "production", "SECRET_KEY": "k" * 32, "DATABASE_URL": f"sqlite:///{folder}/empty.db"}
    async with serving("--port", "0", **production) as (_, greeting):
        found = re.fullmatch(r"GraphQL at (http://127\.0\.0\.1:\d+)/graphql\n", greeting)
        assert found is not None
        response = await until_ready(found[1])
        assert response.status_code == 503
        assert "tasktalk migrate" in response.text


@only_sqlite
async def test_workers_share_metrics_lose_no_log_line_and_trust_the_named_proxy(settings: Settings) -> None:
    proxy = {"SIGN_IN_ATTEMPTS": "1", "FORWARDED_ALLOW_IPS": "127.0.0.1"}
    environment = variables(settings, ENVIRONMENT="production", PYTHONUNBUFFERED="1") | proxy
    async with serving("--port", "0", "--workers", "2", **environment) as (process, greeting):
        url = greeting.removeprefix("GraphQL at ").removesuffix("/graphql\n")
        assert (await until_ready(url)).status_code == 200
        for _ in range(20):
            async with httpx2.AsyncClient(timeout=PATIENCE_S) as client:
                response = await client.post(f"{url}/graphql", json={"query": "query Shared { __typename }"})
                assert response.json() == {"data": {"__typename": "Query"}}
        # The last of them may have been answered by a worker that has not counted it yet.
        await until_so(partial(has_counted, url, 20))
        assert not await has_counted(url, 21)
        assert await codes_of_guesses(url) == ["UNAUTHENTICATED", "UNAUTHENTICATED"]
        process.send_signal(signal.SIGTERM)
        output, _ = await asyncio.wait_for(process.communicate(), START_PATIENCE_S)
    lines = [json.loads(line) for line in output.splitlines() if line.startswith(b"{")]
    assert sum(line.get("operation") == "Shared" for line in lines) == 20


async def codes_of_guesses(url: str) -> list[str]:
    """Sign in wrongly over one connection as if from two addresses, and return what is answered."""
    guess = 'mutation { signIn(input: {email: "ann@example.com", password: "a guess"}) { errors { code } } }'
    codes: list[str] = []
    async with httpx2.AsyncClient(base_url=url, timeout=PATIENCE_S) as client:
        for address in ("192.0.2.1", "192.0.2.2"):
            response = await client.post("/graphql", json={"query": guess}, headers={"x-forwarded-for": address})
            codes += [error["code"] for error in response.json()["data"]["signIn"]["errors"]]
    return codes


async def has_counted(url: str, least: int) -> bool:
    async with httpx2.AsyncClient(timeout=PATIENCE_S) as client:
        metrics = (await client.get(f"{url}/metrics")).text
    counted = re.search(r'tasktalk_graphql_operations_total\{name="Shared",outcome="ok"\} (\d+)', metrics)
    assert counted is not None
    return int(counted[1]) >= least


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_port_in_use_is_an_error_before_anything_starts(workers: str, folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = await tasktalk("serve", "--port", str(port), "--workers", workers)
    assert ended.status == 2
    assert ended.errors.startswith(f"tasktalk: cannot listen on 127.0.0.1:{port}: Address already in use; stop what ")
    assert not (folder / "data" / "tasktalk.db").exists()
