"""Each request's id and its line in the log, and what must not stand in it."""

import json
import logging
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from core.database import Database
from core.settings import Environment, Settings
from server.app import create_app
from server.observability.logs import log_config, make_filter, make_formatter
from tests.factories import sign_in
from tests.server import sample
from tests.servers import serve
from tests.waiting import PATIENCE_S


def lines_of(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.fixture
async def production(settings: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    """Serve the API as in production, where a line is JSON."""
    app = create_app(settings.model_copy(update={"environment": Environment.PRODUCTION}))
    async with serve(app) as running, httpx2.AsyncClient(base_url=running.url, timeout=PATIENCE_S) as client:
        yield client


async def test_while_one_develops_a_line_has_what_there_is_to_tell(
    api: httpx2.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    await api.get("/nowhere")
    line = re.sub(r" {2,}", " ", capsys.readouterr().out)
    assert "request method=GET path=/nowhere status=404 duration_ms=" in line
    assert "None" not in line


@pytest.mark.parametrize("sent", ["a", "0b9e3f-trace.1_2", "A" * 64])
async def test_a_sane_id_is_kept(api: httpx2.AsyncClient, sent: str) -> None:
    response = await api.get("/health", headers={"X-Request-ID": sent})
    assert response.headers["x-request-id"] == sent


@pytest.mark.parametrize("sent", ["", "A" * 65, "a b", "a;b", '{"a":1}', "-a", "é", None])
async def test_any_other_is_replaced(api: httpx2.AsyncClient, sent: str | None) -> None:
    headers = {} if sent is None else {"X-Request-ID": sent.encode()}
    response = await api.get("/health", headers=headers)  # type: ignore[arg-type]
    assert re.fullmatch("[0-9a-f]{32}", response.headers["x-request-id"])


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("PUT", "/graphql", 405), ("POST", "/graphql", 415), ("GET", "/metrics", 200)],
)
async def test_every_response_has_an_id(api: httpx2.AsyncClient, method: str, path: str, status: int) -> None:
    response = await api.request(method, path)
    assert response.status_code == status
    assert len(response.headers.get_list("x-request-id")) == 1


async def test_a_line_for_each_request(
    production: httpx2.AsyncClient, database: Database, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    signed_in = await sign_in(database, settings)
    capsys.readouterr()
    body = {"query": "query Mine($n: Int) { viewer { id } tasks(first: $n) { totalCount } }", "variables": {"n": 5}}
    await production.post("/graphql", json=body, headers={**signed_in.headers, "X-Request-ID": "mine"})
    (line,) = lines_of(capsys)
    assert line.pop("duration_ms") > 0
    assert line.pop("timestamp").endswith("Z")
    assert line.pop("statements") > 0
    assert line == {
        "event": "request",
        "level": "info",
        "method": "POST",
        "path": "/graphql",
        "status": 200,
        "request_id": "mine",
        "user_id": signed_in.user.id,
        "operation": "Mine",
        "outcome": "ok",
    }


async def test_no_secret_is_logged(production: httpx2.AsyncClient, capsys: pytest.CaptureFixture[str]) -> None:
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


async def test_probes_are_quiet_while_all_is_well(
    production: httpx2.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in ("/health", "/ready", "/metrics"):
        assert (await production.get(path)).status_code == 200
    assert lines_of(capsys) == []


async def test_a_failure_outside_of_the_fields_is_masked(
    tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = sample.sample_settings(tmp_path_factory.mktemp("broken"))
    app = create_app(settings, sample.schema)

    async def broken() -> None:
        raise RuntimeError(sample.SECRET)

    app.add_api_route("/broken", broken)
    async with serve(app) as running, httpx2.AsyncClient(base_url=running.url, timeout=PATIENCE_S) as client:
        response = await client.get("/broken", headers={"X-Request-ID": "broken-1"})
    assert response.status_code == 500
    assert response.json() == {
        "errors": [
            {
                "message": "Something went wrong on our side. Request id: broken-1",
                "extensions": {"code": "INTERNAL_SERVER_ERROR", "requestId": "broken-1"},
            }
        ]
    }
    assert response.headers["x-request-id"] == "broken-1"
    log = capsys.readouterr().out
    assert "Traceback" in log
    assert sample.SECRET in log


def test_lines_of_libraries(settings: Settings) -> None:
    record = logging.LogRecord("uvicorn.error", logging.INFO, __file__, 1, "Started %s", ("server",), None)
    line = json.loads(make_formatter(is_production=True).format(record))
    assert (line["event"], line["level"], line["logger"]) == ("Started server", "info", "uvicorn.error")
    assert "Started server" in make_formatter(is_production=False).format(record)
    assert log_config(settings)["formatters"]["structured"]["is_production"] is False


@pytest.mark.parametrize(
    ("module", "level", "is_kept"),
    [
        ("websockets_sansio_impl", logging.INFO, False),
        ("websockets_sansio_impl", logging.WARNING, True),
        ("server", logging.INFO, True),
    ],
)
def test_a_socket_s_query_string_is_not_logged(module: str, level: int, *, is_kept: bool) -> None:
    line = '%s - "WebSocket %s" [accepted]'
    record = logging.LogRecord("uvicorn.error", level, f"{module}.py", 1, line, ("::1", "/graphql?token=x"), None)
    assert make_filter()(record) is is_kept
