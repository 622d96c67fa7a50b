"""The application: CORS, compression, security headers, pages, what it says at the start, and its shutdown."""

import asyncio
import re
import signal
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Final

import pytest
from httpx2 import ASGITransport, AsyncClient, Response
from starlette.applications import Starlette

from core.settings import Environment, Settings
from server.app import create_app
from server.http.overload import Overload
from server.http.pages import Page, docs_page, graphiql_page
from server.lifecycle import graceful_shutdown
from server.observability.request_log import RequestLogMiddleware
from server.serving import greeting
from tests.databases import make_settings
from tests.event_client import open_events
from tests.factories import SignedIn
from tests.server import sample
from tests.server.sample import open_api, sample_settings, schema
from tests.servers import serve, serve_with
from tests.socket_client import open_socket, signed_in_socket
from tests.waiting import until

OURS = "https://app.example.com"
THEIRS = "https://evil.example.com"


NEEDED: Final = "authorization, content-type, x-request-id"


async def preflight(client: AsyncClient, origin: str, names: str = NEEDED) -> Response:
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": names}
    return await client.options("/graphql", headers=headers)


async def test_pages_of_allowed_origins_may_call(tmp_path: Path) -> None:
    async with open_api(sample_settings(tmp_path, allowed_origins=OURS)) as api:
        for origin, status, header in ((OURS, 200, OURS), (THEIRS, 400, None)):
            allowed = await preflight(api, origin)
            answer = await api.post("/graphql", json={"query": "{ hello }"}, headers={"Origin": origin})
            assert allowed.status_code == status
            for response in (allowed, answer):
                assert response.headers.get("access-control-allow-origin") == header
                credentials = response.headers.get("access-control-allow-credentials")
                assert credentials == (None if header is None else "true")
            exposed = answer.headers["access-control-expose-headers"].split(", ")
            assert origin == THEIRS or {"X-Request-ID", "Retry-After"} <= set(exposed)


TRACING: Final = "sentry-trace, baggage, traceparent, apollographql-client-name, x-auth-mode"


async def test_pages_may_send_any_header_that_they_ask_for(tmp_path: Path) -> None:
    async with open_api(sample_settings(tmp_path, allowed_origins=OURS)) as api:
        allowed = await preflight(api, OURS, TRACING)
        assert (allowed.status_code, allowed.headers["access-control-allow-headers"]) == (200, TRACING)
        assert int(allowed.headers["access-control-max-age"]) > 0
        for names in ("a b", "x,,y", "a:b", ",".join(["x"] * 51), "x" * 2_049):
            refused = await preflight(api, OURS, names)
            assert (refused.status_code, "access-control-allow-headers" in refused.headers) == (400, False)
    async with open_api(sample_settings(tmp_path, allowed_origins="*")) as api:
        for response in (await preflight(api, OURS), await api.get("/health", headers={"Origin": OURS})):
            assert response.headers["access-control-allow-origin"] == "*"
            assert "access-control-allow-credentials" not in response.headers


LOCAL: Final = ("http://localhost:5173", "http://127.0.0.1:3000", "https://[::1]:8443", "http://localhost")
ALMOST: Final = ("http://localhost.example.com", "http://evil@localhost", "http://localhost:5173.example.com")


async def test_local_pages_may_call_in_development_only(api: AsyncClient, production_api: AsyncClient) -> None:
    for origin in LOCAL:
        allowed = await preflight(api, origin)
        assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, origin)
        assert "access-control-allow-origin" not in (await preflight(production_api, origin)).headers
    for client in (api, production_api):
        for origin in (OURS, *ALMOST, "null"):
            assert "access-control-allow-origin" not in (await preflight(client, origin)).headers


@pytest.mark.parametrize("least_bytes", [1_000, 0])
async def test_large_responses_are_compressed_for_clients_that_accept_it(tmp_path: Path, least_bytes: int) -> None:
    async with open_api(sample_settings(tmp_path, gzip_least_bytes=least_bytes)) as api:
        for characters, accepted, compressed in (
            (2_000, "gzip, br", True),
            (200_000, "gzip", True),
            (900, "gzip", False),
            (2_000, "br", False),
            (2_000, "identity", False),
        ):
            body = {"query": "query ($n: Int!) { long(characters: $n) }", "variables": {"n": characters}}
            response = await api.post("/graphql", json=body, headers={"Accept-Encoding": accepted})
            assert response.json() == {"data": {"long": "x" * characters}}
            is_compressed = response.headers.get("content-encoding") == "gzip"
            assert is_compressed is (compressed and least_bytes > 0), (characters, accepted)
            assert int(response.headers["content-length"]) < characters or not is_compressed


SECURITY: Final = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}


async def test_every_response_has_security_headers_of_which_a_page_keeps_its_own(api: AsyncClient) -> None:
    for path in ("/graphql", "/health", "/nothing"):
        headers = dict((await api.get(path)).headers)
        assert headers == headers | SECURITY
    response = await api.get("/graphql", headers={"Accept": "text/html"})
    assert response.headers.get_list("x-frame-options") == ["DENY"]
    (policy,) = response.headers.get_list("content-security-policy")
    assert "script-src" in policy or "default-src 'self'" in policy


def test_settings_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENVIRONMENT", "production")
    monkeypatch.setenv("SECRET_KEY", "a key that is long enough for the tests")
    assert not any(getattr(route, "path", "").startswith("/graphiql") for route in create_app(schema=schema).routes)


CHANGES = "subscription { changes { changed { id } } }"
RESTARTS = (1012, "The server restarts; connect again.")


async def test_shutdown_closes_sockets_and_streams(settings: Settings, user: SignedIn) -> None:
    async with (
        serve_with(settings) as server,
        server.client() as http,
        signed_in_socket(server, user.token) as socket,
        signed_in_socket(server, None) as anonymous,
        open_events(server, CHANGES, token=user.token) as events,
    ):
        await socket.subscribe(CHANGES)
        await server.until_followed(user.user.id, 2)
        assert (await http.get("/ready")).status_code == 200
        server.app.state.connections.close_all()
        assert await socket.closing() == RESTARTS
        assert await anonymous.closing() == RESTARTS
        await events.end()
        await until(lambda: not server.runtime.live.hub.users)
        answer = await http.get("/ready")
        assert (answer.status_code, answer.json()["reason"]) == (503, "The server is shutting down.")
        # New requests are answered; new sockets and streams are closed.
        assert (await http.post("/graphql", json={"query": "{ viewer { id } }"})).status_code == 200
        async with open_socket(server) as late:
            await late.send({"type": "connection_init"})
            assert await late.receive() == {"type": "connection_ack"}
            assert await late.closing() == RESTARTS
        async with open_events(server, CHANGES, token=user.token) as late_events:
            await late_events.end()


async def test_mutation_completes_before_the_database_is_closed(tmp_path: Path, happenings: sample.Happenings) -> None:
    app = create_app(sample.sample_settings(tmp_path), sample.schema)
    async with serve(app) as server, signed_in_socket(server, None) as socket:
        await socket.subscribe("mutation { wait }")
        await happenings.began.wait()
        server.app.state.connections.close_all()
        assert await socket.closing() == RESTARTS
        assert happenings.ended == []
        happenings.may_end.set()
    assert happenings.ended == ["done"]


async def test_signal_handlers_are_restored_and_unchanged_outside_the_main_thread(settings: Settings) -> None:
    presence = create_app(settings).state.connections
    kept = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    inside = []

    def enter() -> None:
        with graceful_shutdown(presence):
            inside.append(signal.getsignal(signal.SIGTERM))

    enter()
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == kept
    await asyncio.to_thread(enter)
    assert (inside[0] is not kept[0], inside[1] is kept[0]) == (True, True)


def test_greeting_names_endpoints_database_and_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert greeting(make_settings("sqlite:///data/tasktalk.db"), "127.0.0.1", 8000).splitlines() == [
        "GraphiQL at http://127.0.0.1:8000/graphql",
        "REST at http://127.0.0.1:8000/docs",
        "MCP at http://127.0.0.1:8000/mcp",
        f"Database: sqlite:///{tmp_path}/data/tasktalk.db",
        "Assistant: the offline model; set OPENAI_API_KEY for another",
    ]


@pytest.mark.parametrize(
    ("host", "name"),
    [("0.0.0.0", "127.0.0.1"), ("::", "127.0.0.1"), ("::1", "[::1]"), ("10.0.0.7", "10.0.0.7")],  # noqa: S104
)
def test_greeting_has_addresses_that_can_be_opened_and_no_secret(host: str, name: str) -> None:
    settings = make_settings(
        "postgresql://ada:hunter2@db.example.com,standby.example.com/tasks?sslmode=require",
        environment=Environment.PRODUCTION,
        openai_api_key="sk-hunter2",
        openai_base_url="https://ada:hunter2@models.example.com/v1",
    )
    lines = greeting(settings, host, 80).splitlines()
    assert lines[0] == f"GraphQL at http://{name}:80/graphql"
    assert "Database: postgresql://ada:***@db.example.com,standby.example.com/tasks?sslmode=require" in lines
    assert lines[-1] == "Assistant: gpt-5-mini"
    assert not any("hunter2" in line for line in lines)


BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
NAMES_OUTSIDE = ["../index.html", "..%2findex.html", "%2e%2e/index.html", "%2fetc%2fpasswd", "a%00b", ""]
MEDIA_TYPES = {"index-B1x.js": "text/javascript; charset=utf-8", "icons-C2y.ttf": "font/ttf"}
MakePage = Callable[[Path], Page]
of_each_page = pytest.mark.parametrize(
    ("make_page", "folder", "path", "cdn_files"),
    [(graphiql_page, ".", "/graphiql", 4), (docs_page, "docs", "/docs", 2)],
)


@of_each_page
async def test_page_loads_from_a_cdn_until_it_is_built_then_from_its_own_host(
    tmp_path: Path, make_page: MakePage, folder: str, path: str, cdn_files: int
) -> None:
    assert_loads_from_cdn(make_page(tmp_path), cdn_files)
    dist = tmp_path / folder
    (dist / "assets").mkdir(parents=True)
    (dist / "index.html").write_text("<title>built</title>")
    for name in MEDIA_TYPES:
        (dist / "assets" / name).write_text("export {}")
    page = make_page(tmp_path)
    response = page.response()
    headers = dict(response.headers)
    assert response.body == b"<title>built</title>"
    caching = {"cache-control": "no-cache", "vary": "Accept"}
    assert headers == headers | caching | {"content-type": "text/html; charset=utf-8"}
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'self';")
    assert "http" not in policy
    app = RequestLogMiddleware(Starlette(routes=page.assets), lambda *_: None, lambda _: None, Overload())
    transport = ASGITransport(app)
    async with AsyncClient(transport=transport, base_url=f"http://127.0.0.1{path}/assets/") as client:
        for name, media_type in MEDIA_TYPES.items():
            asset = await client.get(name)
            headers = dict(asset.headers)
            caching = {"cache-control": "public, max-age=31536000, immutable"}
            safety = {"x-content-type-options": "nosniff", "x-frame-options": "DENY", "content-security-policy": policy}
            assert (asset.status_code, headers) == (200, headers | caching | safety | {"content-type": media_type})
            again = await client.get(name, headers={"if-none-match": headers["etag"]})
            assert (again.status_code, again.content) == (304, b"")
        for name in NAMES_OUTSIDE:
            outside = await client.get(name)
            assert outside.status_code == 404, name
            assert "built" not in outside.text


def assert_loads_from_cdn(page: Page, cdn_files: int) -> None:
    """Expect a page that is not built, with a nonce and hashes."""
    assert page.assets == []
    response = page.response()
    text = bytes(response.body).decode()
    (nonce,) = set(re.findall(r'nonce="([^"]+)"', text))
    assert f"script-src 'nonce-{nonce}';" in response.headers["content-security-policy"]
    assert "{nonce}" not in text
    loaded = re.findall(r"<(?:script|link)[^>]*https://[^>]*>", text)
    assert len(loaded) == cdn_files
    assert all("integrity=" in tag and "crossorigin" in tag for tag in loaded)
    assert page.response().body != response.body


async def test_index_lists_all_endpoints(api: AsyncClient, production_api: AsyncClient) -> None:
    paths = (await api.get("/")).json()
    for headers in ({}, BROWSER):
        assert (await production_api.get("/", headers=headers)).json() == paths
    page = await api.get("/", headers=BROWSER)
    assert (page.status_code, page.headers["location"]) == (307, "/graphql")
    assert (await api.get("/graphql", headers=BROWSER)).status_code == 200
    docs = await production_api.get("/docs")
    assert (docs.status_code, docs.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert (await production_api.get("/openapi.json")).json()["info"]["title"] == "Tasktalk"
    assert (paths.pop("name"), paths.pop("version")) == ("tasktalk", version("tasktalk"))
    endpoints = {name: f"/{name}" for name in ("graphql", "docs", "mcp", "health", "ready")}
    assert paths == endpoints | {"rest": "/openapi.json"}
    assert {(await api.get(path)).status_code for path in paths.values()}.isdisjoint({404, 500})
