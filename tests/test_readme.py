"""The README's table of settings is what the settings say."""

from pathlib import Path
from typing import Any

from core.settings import Settings

README = Path(__file__).parent.parent / "README.md"


def test_every_setting_stands_in_the_readme_with_its_default() -> None:
    table = README.read_text(encoding="utf-8").partition("| name | default | what it is |\n| --- | --- | --- |\n")[2]
    written = table.partition("\n\n")[0].splitlines()

    assert written == [
        f"| `{name.upper()}` | {_shown(field.default)} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]


def _shown(default: Any) -> str:
    return "" if default in ("", (), None) else f"`{default}`"
