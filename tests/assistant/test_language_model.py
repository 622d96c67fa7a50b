"""Which model answers, and where its provider is."""

from pathlib import Path
from typing import Any

import pytest
from agents import OpenAIChatCompletionsModel

from assistant.language_model import LanguageModel
from tests.databases import make_settings


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({}, "offline"),
        ({"openai_api_key": "sk-test"}, "gpt-5-mini"),
        ({"openai_base_url": "http://h/v1"}, "gpt-5-mini"),
    ],
)
def test_a_key_or_an_address_brings_a_provider(tmp_path: Path, given: dict[str, Any], name: str) -> None:
    assert LanguageModel(make_settings(f"sqlite:///{tmp_path}/none.db", **given)).name == name


async def test_an_address_set_to_nothing_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "")
    language_model = LanguageModel(make_settings(f"sqlite:///{tmp_path}/none.db", openai_api_key="sk-test"))
    model = language_model.make("UTC")
    assert isinstance(model, OpenAIChatCompletionsModel)
    assert str(model._client.base_url) == "https://api.openai.com/v1/"  # noqa: SLF001 - it tells nowhere else
    await language_model.close()
