"""The GraphiQL page and its files, without a browser."""

import re
from pathlib import Path

import pytest
from httpx2 import ASGITransport, AsyncClient
from starlette.applications import Starlette

from server.graphql.graphiql import GraphiQL

NAMES_OUTSIDE = ["../index.html", "..%2findex.html", "%2e%2e/index.html", "%2fetc%2fpasswd", "a%00b", ""]


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    assets = tmp_path / "dist" / "assets"
    assets.mkdir(parents=True)
    (tmp_path / "dist" / "index.html").write_text("<title>built</title>")
    (assets / "index-B1x.js").write_text("export {}")
    (assets / "icons-C2y.ttf").write_bytes(b"\0")
    return tmp_path / "dist"


def assets_client(graphiql: GraphiQL) -> AsyncClient:
    transport = ASGITransport(Starlette(routes=graphiql.routes))
    return AsyncClient(transport=transport, base_url="http://127.0.0.1/graphiql/assets/")


def test_built_page_loads_from_its_own_host_only(dist: Path) -> None:
    page = GraphiQL(dist).page()
    assert page.body == b"<title>built</title>"
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] == "no-cache"
    assert page.headers["vary"] == "Accept"
    assert page.headers["x-frame-options"] == "DENY"
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'self';")
    assert "http" not in policy


@pytest.mark.parametrize(
    ("name", "media_type"),
    [("index-B1x.js", "text/javascript; charset=utf-8"), ("icons-C2y.ttf", "font/ttf")],
)
async def test_assets_are_typed_and_kept_for_good(dist: Path, name: str, media_type: str) -> None:
    async with assets_client(GraphiQL(dist)) as client:
        response = await client.get(name)
    assert response.status_code == 200
    assert response.headers["content-type"] == media_type
    assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["content-security-policy"].startswith("default-src 'self';")


async def test_an_asset_that_the_browser_has_is_not_sent_again(dist: Path) -> None:
    async with assets_client(GraphiQL(dist)) as client:
        first = await client.get("index-B1x.js")
        second = await client.get("index-B1x.js", headers={"if-none-match": first.headers["etag"]})
    assert second.status_code == 304
    assert second.content == b""


@pytest.mark.parametrize("name", NAMES_OUTSIDE)
async def test_nothing_outside_the_assets_is_served(dist: Path, name: str) -> None:
    async with assets_client(GraphiQL(dist)) as client:
        response = await client.get(name)
    assert response.status_code == 404
    assert "built" not in response.text


def test_without_a_build_the_page_comes_from_a_cdn(tmp_path: Path) -> None:
    graphiql = GraphiQL(tmp_path / "never-built")
    assert graphiql.routes == []
    page = graphiql.page()
    text = bytes(page.body).decode()
    nonces = set(re.findall(r'nonce="([^"]+)"', text))
    assert len(nonces) == 1
    assert f"script-src 'nonce-{nonces.pop()}';" in page.headers["content-security-policy"]
    assert "{nonce}" not in text
    scripts_and_styles = re.findall(r"<(?:script|link)[^>]*https://[^>]*>", text)
    assert len(scripts_and_styles) == 4
    assert all("integrity=" in tag and "crossorigin" in tag for tag in scripts_and_styles)


def test_each_cdn_page_has_a_nonce_of_its_own(tmp_path: Path) -> None:
    graphiql = GraphiQL(tmp_path)
    assert graphiql.page().body != graphiql.page().body
