"""The page of the REST API and its files, without a browser."""

import re
from pathlib import Path

import httpx2
import pytest
from httpx2 import ASGITransport, AsyncClient
from starlette.applications import Starlette

from server.rest.docs import Docs


def client_of(dist: Path) -> AsyncClient:
    return AsyncClient(transport=ASGITransport(Starlette(routes=Docs(dist).routes)), base_url="http://127.0.0.1")


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<title>built</title>")
    (tmp_path / "assets" / "index-B1x.js").write_text("export {}")
    return tmp_path


async def test_built_page_loads_from_its_own_host_only(dist: Path) -> None:
    async with client_of(dist) as client:
        page = await client.get("/docs")
        script = await client.get("/docs/assets/index-B1x.js")
        outside = await client.get("/docs/assets/..%2findex.html")
    assert (page.text, page.headers["cache-control"]) == ("<title>built</title>", "no-cache")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'self';")
    assert "http" not in policy
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"
    assert script.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert outside.status_code == 404


async def test_page_without_a_build_loads_from_a_cdn(tmp_path: Path) -> None:
    async with client_of(tmp_path / "never-built") as client:
        page, another = await client.get("/docs"), await client.get("/docs")
    assert page.text != another.text
    (nonce,) = set(re.findall(r'nonce="([^"]+)"', page.text))
    assert f"script-src 'nonce-{nonce}';" in page.headers["content-security-policy"]
    loaded = re.findall(r"<(?:script|link)[^>]*https://[^>]*>", page.text)
    assert len(loaded) == 2
    assert all("integrity=" in tag and "crossorigin" in tag for tag in loaded)


async def test_page_and_description_are_served_in_production(production_api: httpx2.AsyncClient) -> None:
    page = await production_api.get("/docs")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert (await production_api.get("/openapi.json")).json()["info"]["title"] == "Tasktalk"
