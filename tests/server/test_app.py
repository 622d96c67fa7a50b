"""What lies around every request: other origins' pages, compression, and headers for browsers."""

from pathlib import Path
from typing import Final

import httpx2
import pytest

from core.settings import Environment
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
        allowed = await preflight(api, OURS)
        assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, OURS)
        answer = await api.post("/graphql", json={"query": "{ hello }"}, headers={"Origin": OURS})
        assert answer.headers["access-control-allow-origin"] == OURS
        assert "X-Request-ID" in answer.headers["access-control-expose-headers"]
        refused = await preflight(api, THEIRS)
        assert refused.status_code == 400
        assert "access-control-allow-origin" not in refused.headers
        answer = await api.post("/graphql", json={"query": "{ hello }"}, headers={"Origin": THEIRS})
        assert "access-control-allow-origin" not in answer.headers


LOCAL: Final = ("http://localhost:5173", "http://127.0.0.1:3000", "https://[::1]:8443", "http://localhost")
FAR: Final = (
    OURS,
    "http://localhost.example.com",
    "http://evil@localhost",
    "http://localhost:5173.example.com",
    "null",
)


async def test_while_one_develops_the_pages_of_this_machine_may_call(api: httpx2.AsyncClient) -> None:
    for origin in LOCAL:
        allowed = await preflight(api, origin)
        assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, origin)
    for origin in FAR:
        assert "access-control-allow-origin" not in (await preflight(api, origin)).headers


async def test_in_production_no_other_origin_by_default(tmp_path: Path) -> None:
    production = sample_settings(tmp_path, environment=Environment.PRODUCTION)
    async with open_api(production) as api:
        for origin in (*LOCAL, *FAR):
            assert "access-control-allow-origin" not in (await preflight(api, origin)).headers


@pytest.mark.parametrize(
    ("least_bytes", "characters", "accepted", "compressed"),
    [
        (1_000, 2_000, "gzip, br", True),
        (1_000, 200_000, "gzip", True),
        (1_000, 900, "gzip", False),
        (1_000, 2_000, "br", False),
        (1_000, 2_000, "identity", False),
        (0, 2_000, "gzip", False),
    ],
)
async def test_compression(
    tmp_path: Path, least_bytes: int, characters: int, accepted: str, *, compressed: bool
) -> None:
    settings = sample_settings(tmp_path, gzip_least_bytes=least_bytes)
    async with open_api(settings) as api:
        body = {"query": "query ($n: Int!) { long(characters: $n) }", "variables": {"n": characters}}
        response = await api.post("/graphql", json=body, headers={"Accept-Encoding": accepted})
    assert response.json() == {"data": {"long": "x" * characters}}
    assert (response.headers.get("content-encoding") == "gzip") is compressed
    assert int(response.headers["content-length"]) < characters or not compressed


@pytest.mark.parametrize("path", ["/graphql", "/health", "/nothing"])
async def test_headers_for_browsers(api: httpx2.AsyncClient, path: str) -> None:
    response = await api.get(path)
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["x-frame-options"] == "DENY"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"


async def test_a_page_s_own_headers_stay(api: httpx2.AsyncClient) -> None:
    response = await api.get("/graphql", headers={"Accept": "text/html"})
    assert response.headers.get_list("x-frame-options") == ["DENY"]
    (policy,) = response.headers.get_list("content-security-policy")
    assert "script-src" in policy or "default-src 'self'" in policy


def test_settings_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENVIRONMENT", "production")
    monkeypatch.setenv("SECRET_KEY", "a key that is long enough for the tests")
    assert not any(getattr(route, "path", "").startswith("/graphiql") for route in create_app(schema=schema).routes)
