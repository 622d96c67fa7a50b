"""What the tests of the offline model are given."""

from typing import Any

import pytest


@pytest.fixture
def provider_settings() -> dict[str, Any]:
    return {}
