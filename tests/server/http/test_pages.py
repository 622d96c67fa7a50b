"""What is at /: the way to everything else."""

from importlib.metadata import version
from pathlib import Path

import httpx2
import pytest

from core.settings import Environment
from tests.server.sample import open_door, sample_settings

BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


async def test_a_browser_is_led_to_graphiql(door: httpx2.AsyncClient) -> None:
    response = await door.get("/", headers=BROWSER)
    assert (response.status_code, response.headers["location"]) == (307, "/graphql")
    assert (await door.get("/graphql", headers=BROWSER)).status_code == 200


async def test_others_are_told_every_door(door: httpx2.AsyncClient) -> None:
    doors = (await door.get("/")).json()
    assert (doors.pop("name"), doors.pop("version")) == ("tasktalk", version("tasktalk"))
    assert doors == {
        "graphql": "/graphql",
        "rest": "/openapi.json",
        "docs": "/docs",
        "mcp": "/mcp",
        "health": "/health",
        "ready": "/ready",
    }
    assert {(await door.get(path)).status_code for path in doors.values()}.isdisjoint({404, 500})


@pytest.mark.parametrize("headers", [BROWSER, {}])
async def test_in_production_where_graphiql_is_off_all_are_told(tmp_path: Path, headers: dict[str, str]) -> None:
    async with open_door(sample_settings(tmp_path, environment=Environment.PRODUCTION)) as door:
        response = await door.get("/", headers=headers)
        assert (response.status_code, response.json()["graphql"]) == (200, "/graphql")
