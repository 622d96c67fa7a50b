"""Each request's id and its line in the log, what must not stand in it, and that it is written whole."""

import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from httpx2 import AsyncClient

from core.settings import Settings
from server.app import create_app
from server.observability.logs import log_config, make_filter, make_formatter
from tests.factories import SignedIn
from tests.live.processes import ROOT
from tests.server import sample
from tests.servers import IN_PRODUCTION, METRICS_HEADERS, serve, serve_with


def lines_of(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.fixture
async def production(settings: Settings) -> AsyncIterator[AsyncClient]:
    async with serve_with(settings, **IN_PRODUCTION) as running, running.client() as client:
        yield client


async def test_log_line_in_development_is_readable(api: AsyncClient, capsys: pytest.CaptureFixture[str]) -> None:
    await api.get("/nowhere")
    line = re.sub(r" {2,}", " ", capsys.readouterr().out)
    assert "request method=GET path=/nowhere status=404 duration_ms=" in line
    assert "None" not in line


async def test_request_id_is_kept_where_it_is_valid_and_replaced_otherwise(api: AsyncClient) -> None:
    for sent in ("a", "0b9e3f-trace.1_2", "A" * 64):
        assert (await api.get("/health", headers={"X-Request-ID": sent})).headers["x-request-id"] == sent
    for invalid in ("", "A" * 65, "a b", "a;b", '{"a":1}', "-a", "é"):
        response = await api.get("/health", headers=[(b"X-Request-ID", invalid.encode())])
        assert re.fullmatch("[0-9a-f]{32}", response.headers["x-request-id"]), invalid
    for method, path, status in (("GET", "/nothing", 404), ("PUT", "/graphql", 405), ("POST", "/graphql", 415)):
        response = await api.request(method, path)
        assert response.status_code == status
        (request_id,) = response.headers.get_list("x-request-id")
        assert re.fullmatch("[0-9a-f]{32}", request_id)


async def test_requests_are_logged(production: AsyncClient, user: SignedIn, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    body = {"query": "query Mine($n: Int) { viewer { id } tasks(first: $n) { totalCount } }", "variables": {"n": 5}}
    await production.post("/graphql", json=body, headers=user.headers | {"X-Request-ID": "mine"})
    (line,) = lines_of(capsys)
    assert (line.pop("duration_ms") > 0, line.pop("statements") > 0) == (True, True)
    assert line.pop("timestamp").endswith("Z")
    request = {"method": "POST", "path": "/graphql", "status": 200, "request_id": "mine", "user_id": user.user.id}
    assert line == {"event": "request", "level": "info", "operation": "Mine", "outcome": "ok"} | request


async def test_log_has_no_secret(production: AsyncClient, capsys: pytest.CaptureFixture[str]) -> None:
    secret = "hunter2secret"
    headers = {"Authorization": f"Bearer {secret}.a.b", "Cookie": secret}
    query = "mutation ($p: String!) { signIn(input: {email: $p, password: $p}) { accessToken } }"
    body = {"query": query, "variables": {"p": secret}}
    capsys.readouterr()
    await production.post("/graphql", json=body, headers=headers)
    await production.post("/graphql", json=body)
    await production.post("/graphql", json={"query": f'{{ node(id: "{secret}", nope: 1) {{ id }} }}'})
    await production.get("/graphql", params={"query": query, "variables": json.dumps({"p": secret})})
    await production.get("/nothing", params={"token": secret})
    log = capsys.readouterr().out
    assert len(log.splitlines()) == 5
    assert secret not in log


async def test_successful_probes_are_not_logged(production: AsyncClient, capsys: pytest.CaptureFixture[str]) -> None:
    for path in ("/health", "/ready", "/metrics"):
        assert (await production.get(path, headers=METRICS_HEADERS)).status_code == 200
    assert lines_of(capsys) == []


async def test_unexpected_error_of_a_route_is_masked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    app = create_app(sample.sample_settings(tmp_path), sample.schema)

    async def broken() -> None:
        raise RuntimeError(sample.SECRET)

    app.add_api_route("/broken", broken)
    async with serve(app) as running, running.client() as client:
        response = await client.get("/broken", headers={"X-Request-ID": "broken-1"})
    extensions = {"code": "INTERNAL_SERVER_ERROR", "requestId": "broken-1"}
    error = {"message": "Something went wrong on our side. Request id: broken-1", "extensions": extensions}
    assert (response.status_code, response.json()) == (500, {"errors": [error]})
    assert response.headers["x-request-id"] == "broken-1"
    log = capsys.readouterr().out
    assert "Traceback" in log
    assert sample.SECRET in log


def test_log_lines_of_libraries_are_formatted_alike(settings: Settings) -> None:
    record = logging.LogRecord("uvicorn.error", logging.INFO, __file__, 1, "Started %s", ("server",), None)
    line = json.loads(make_formatter(is_production=True).format(record))
    assert (line["event"], line["level"], line["logger"]) == ("Started server", "info", "uvicorn.error")
    assert "Started server" in make_formatter(is_production=False).format(record)
    assert log_config(settings)["formatters"]["structured"]["is_production"] is False


def test_query_string_of_a_socket_is_not_logged() -> None:
    line = '%s - "WebSocket %s" [accepted]'
    for module, level, is_kept in (
        ("websockets_sansio_impl", logging.INFO, False),
        ("websockets_sansio_impl", logging.WARNING, True),
        ("server", logging.INFO, True),
    ):
        record = logging.LogRecord("uvicorn.error", level, f"{module}.py", 1, line, ("::1", "/graphql?token=x"), None)
        assert make_filter()(record) is is_kept


BESIDE_PRINTS = """
import asyncio, sys
from server.observability.logs import _output as output

async def main():
    for n in range(5):
        output.write(b"%d" % n * 200_000 + b"\\n")
        sys.stdout.write(".")
        await asyncio.sleep(0)
        output.msg(f"{n}" * 200_000)

asyncio.run(main())
"""


@pytest.mark.parametrize("options", [[], ["-u"]])
def test_lines_wait_for_room_in_a_full_non_blocking_pipe(options: list[str]) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    command = [sys.executable, *options, "-c", BESIDE_PRINTS]
    with (
        subprocess.Popen(command, env={"PYTHONPATH": str(ROOT)}, stdout=writing) as process,
        os.fdopen(reading, "rb") as pipe,
    ):
        os.close(writing)
        written = pipe.read()
    assert process.returncode == 0
    numbers = [b"%d" % n * 200_000 for n in range(5)]
    assert written == b"".join(b"%b\n.%b\n" % (number, number) for number in numbers)
