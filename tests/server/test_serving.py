"""What the server begins with: where everything is, and nothing that is secret."""

from pathlib import Path

import pytest

from core.settings import Environment
from server.serving import greeting
from tests.databases import make_settings


def test_it_names_every_door_the_database_and_who_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_its_addresses_can_be_opened_and_it_shows_no_secret(host: str, name: str) -> None:
    settings = make_settings(
        "postgresql://ada:hunter2@db.example.com/tasks?sslmode=require",
        environment=Environment.PRODUCTION,
        openai_api_key="sk-hunter2",
        openai_base_url="https://ada:hunter2@models.example.com/v1",
    )
    lines = greeting(settings, host, 80).splitlines()
    assert lines[0] == f"GraphQL at http://{name}:80/graphql"
    assert "Database: postgresql://ada:***@db.example.com/tasks?sslmode=require" in lines
    assert lines[-1] == "Assistant: gpt-5-mini"
    assert not any("hunter2" in line for line in lines)
