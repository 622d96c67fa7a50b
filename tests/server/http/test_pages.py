"""Pages for browsers: GraphiQL at /graphql, Swagger UI at /docs, and the index of endpoints at /."""

import re
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest
from httpx2 import ASGITransport, AsyncClient
from starlette.applications import Starlette

from server.http.pages import Page, docs_page, graphiql_page

BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
NAMES_OUTSIDE = ["../index.html", "..%2findex.html", "%2e%2e/index.html", "%2fetc%2fpasswd", "a%00b", ""]
MEDIA_TYPES = {"index-B1x.js": "text/javascript; charset=utf-8", "icons-C2y.ttf": "font/ttf"}
MakePage = Callable[[Path], Page]
of_each_page = pytest.mark.parametrize(
    ("make_page", "folder", "path", "cdn_files"),
    [(graphiql_page, ".", "/graphiql", 4), (docs_page, "docs", "/docs", 2)],
)


@of_each_page
async def test_built_page_and_its_assets_load_from_their_own_host_only(
    tmp_path: Path, make_page: MakePage, folder: str, path: str, cdn_files: int
) -> None:
    del cdn_files
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
    assert headers == headers | caching | {"content-type": "text/html; charset=utf-8", "x-frame-options": "DENY"}
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'self';")
    assert "http" not in policy
    transport = ASGITransport(Starlette(routes=page.assets))
    async with AsyncClient(transport=transport, base_url=f"http://127.0.0.1{path}/assets/") as client:
        for name, media_type in MEDIA_TYPES.items():
            asset = await client.get(name)
            headers = dict(asset.headers)
            caching = {"cache-control": "public, max-age=31536000, immutable"}
            safety = {"x-content-type-options": "nosniff", "content-security-policy": policy}
            assert (asset.status_code, headers) == (200, headers | caching | safety | {"content-type": media_type})
            again = await client.get(name, headers={"if-none-match": headers["etag"]})
            assert (again.status_code, again.content) == (304, b"")
        for name in NAMES_OUTSIDE:
            outside = await client.get(name)
            assert outside.status_code == 404, name
            assert "built" not in outside.text


@of_each_page
def test_page_that_is_not_built_loads_from_a_cdn_with_nonce_and_hashes(
    tmp_path: Path, make_page: MakePage, folder: str, path: str, cdn_files: int
) -> None:
    del folder, path
    page = make_page(tmp_path / "never-built")
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


async def test_docs_page_is_served_in_production(production_api: AsyncClient) -> None:
    page = await production_api.get("/docs")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert (await production_api.get("/openapi.json")).json()["info"]["title"] == "Tasktalk"


async def test_index_lists_all_endpoints(api: AsyncClient, production_api: AsyncClient) -> None:
    paths = (await api.get("/")).json()
    for headers in ({}, BROWSER):
        assert (await production_api.get("/", headers=headers)).json() == paths
    page = await api.get("/", headers=BROWSER)
    assert (page.status_code, page.headers["location"]) == (307, "/graphql")
    assert (await api.get("/graphql", headers=BROWSER)).status_code == 200
    assert (paths.pop("name"), paths.pop("version")) == ("tasktalk", version("tasktalk"))
    doors = {name: f"/{name}" for name in ("graphql", "docs", "mcp", "health", "ready")}
    assert paths == doors | {"rest": "/openapi.json"}
    assert {(await api.get(path)).status_code for path in paths.values()}.isdisjoint({404, 500})
