"""Which model answers, and where its provider is."""

from pathlib import Path
from typing import Any

import pytest
from agents import OpenAIChatCompletionsModel

from assistant.assistant import model_name
from assistant.model import Models
from assistant.offline.model import OfflineModel
from services.runs.run import OFFLINE_MODEL
from tests.databases import make_settings


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({}, OFFLINE_MODEL),
        ({"openai_api_key": "sk-test"}, "gpt-5-mini"),
        ({"openai_base_url": "http://h/v1"}, "gpt-5-mini"),
    ],
)
def test_key_or_address_of_a_provider_selects_its_model(tmp_path: Path, given: dict[str, Any], name: str) -> None:
    assert model_name(make_settings(f"sqlite:///{tmp_path}/none.db", **given)) == name


async def test_models_make_the_offline_model_or_a_providers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "")
    settings = make_settings(f"sqlite:///{tmp_path}/none.db", openai_api_key="sk-test")
    assert isinstance(Models(settings, OFFLINE_MODEL).make("UTC"), OfflineModel)
    models = Models(settings, "gpt-5-mini")
    model = models.make("UTC")
    assert isinstance(model, OpenAIChatCompletionsModel)
    # An address that is set to nothing is none.
    assert str(model._client.base_url) == "https://api.openai.com/v1/"  # noqa: SLF001 - it tells nowhere else
    await models.close()
