"""Which model answers, and where its provider is."""

from pathlib import Path

import pytest
from agents import OpenAIChatCompletionsModel

from assistant.assistant import model_name
from assistant.model import Models
from assistant.offline.model import OfflineModel
from services.runs.run import OFFLINE_MODEL
from tests.databases import make_settings


async def test_key_or_address_of_a_provider_selects_its_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path}/none.db"
    with_key = make_settings(url, openai_api_key="sk-test")
    given = (make_settings(url), with_key, make_settings(url, openai_base_url="http://h/v1"))
    assert [model_name(each) for each in given] == [OFFLINE_MODEL, "gpt-5-mini", "gpt-5-mini"]
    # An address that is set to nothing is none.
    monkeypatch.setenv("OPENAI_BASE_URL", "")
    assert isinstance(Models(with_key, OFFLINE_MODEL).make("UTC"), OfflineModel)
    models = Models(with_key, "gpt-5-mini")
    model = models.make("UTC")
    assert isinstance(model, OpenAIChatCompletionsModel)
    assert str(model._client.base_url) == "https://api.openai.com/v1/"  # noqa: SLF001 - it tells nowhere else
    await models.close()
