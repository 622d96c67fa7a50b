"""What is at /: the way to everything else."""

from importlib.metadata import version
from pathlib import Path

import httpx2
import pytest

from core.settings import Environment
from tests.server.sample import open_api, sample_settings

BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


async def test_index_redirects_browsers_to_graphiql(api: httpx2.AsyncClient) -> None:
    response = await api.get("/", headers=BROWSER)
    assert (response.status_code, response.headers["location"]) == (307, "/graphql")
    assert (await api.get("/graphql", headers=BROWSER)).status_code == 200


async def test_index_lists_all_endpoints(api: httpx2.AsyncClient) -> None:
    paths = (await api.get("/")).json()
    assert (paths.pop("name"), paths.pop("version")) == ("tasktalk", version("tasktalk"))
    assert paths == {
        "graphql": "/graphql",
        "rest": "/openapi.json",
        "docs": "/docs",
        "mcp": "/mcp",
        "health": "/health",
        "ready": "/ready",
    }
    assert {(await api.get(path)).status_code for path in paths.values()}.isdisjoint({404, 500})


@pytest.mark.parametrize("headers", [BROWSER, {}])
async def test_index_in_production_lists_endpoints_for_browsers_too(tmp_path: Path, headers: dict[str, str]) -> None:
    async with open_api(sample_settings(tmp_path, environment=Environment.PRODUCTION)) as api:
        response = await api.get("/", headers=headers)
        assert (response.status_code, response.json()["graphql"]) == (200, "/graphql")
