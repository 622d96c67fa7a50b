"""The middleware of every request: CORS, compression, security headers."""

from pathlib import Path
from typing import Final

import httpx2
import pytest

from server.app import create_app
from tests.server.sample import open_api, sample_settings, schema

OURS = "https://app.example.com"
THEIRS = "https://evil.example.com"


async def preflight(client: httpx2.AsyncClient, origin: str) -> httpx2.Response:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, content-type, x-request-id",
    }
    return await client.options("/graphql", headers=headers)


async def test_pages_of_allowed_origins_may_call(tmp_path: Path) -> None:
    async with open_api(sample_settings(tmp_path, allowed_origins=OURS)) as api:
        for origin, status, header in ((OURS, 200, OURS), (THEIRS, 400, None)):
            allowed = await preflight(api, origin)
            answer = await api.post("/graphql", json={"query": "{ hello }"}, headers={"Origin": origin})
            assert allowed.status_code == status
            for response in (allowed, answer):
                assert response.headers.get("access-control-allow-origin") == header
            assert origin == THEIRS or "X-Request-ID" in answer.headers["access-control-expose-headers"]


LOCAL: Final = ("http://localhost:5173", "http://127.0.0.1:3000", "https://[::1]:8443", "http://localhost")
ALMOST: Final = ("http://localhost.example.com", "http://evil@localhost", "http://localhost:5173.example.com")


async def test_local_pages_may_call_in_development_only(
    api: httpx2.AsyncClient, production_api: httpx2.AsyncClient
) -> None:
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


async def test_every_response_has_security_headers_of_which_a_page_keeps_its_own(api: httpx2.AsyncClient) -> None:
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
