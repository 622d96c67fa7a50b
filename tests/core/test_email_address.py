"""Email addresses."""

import pytest

from core.email_address import normal_email


@pytest.mark.parametrize(
    ("text", "email"),
    [
        ("ada@example.com", "ada@example.com"),
        ("  Ada.Lovelace+Notes@Example.COM\n", "ada.lovelace+notes@example.com"),
        ("ada@localhost", "ada@localhost"),
        ("!#$%&'*+-/=?^_`{|}~.@example.com", "!#$%&'*+-/=?^_`{|}~.@example.com"),
        (f"{'a' * 242}@example.com", f"{'a' * 242}@example.com"),
        (f"{'a' * 243}@example.com", None),
        (f"ada@{'a' * 63}.com", f"ada@{'a' * 63}.com"),
        (f"ada@{'a' * 64}.com", None),
        ("", None),
        ("ada", None),
        ("@example.com", None),
        ("ada@", None),
        ("ada@-example.com", None),
        ("ada@example-.com", None),
        ("ada@example..com", None),
        ("ada@example.com.", None),
        ("ada@@example.com", None),
        ("ada love@example.com", None),
        ("ada@example.com\0", None),
        ("ada@exa\nmple.com", None),
        ("\u212aelvin@example.com", None),
        ("ad\u00e4@example.com", None),
        ("\ud800@example.com", None),
        ("a" * 1_000_000, None),
        ("a@" + "a-" * 500_000, None),
    ],
)
def test_one_spelling_or_none(text: str, email: str | None) -> None:
    assert normal_email(text) == email
