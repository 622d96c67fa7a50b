"""The settings: what is read from where, and the one line that says what is wrong."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from core.settings import Environment, Settings, SettingsError, load_settings

KEY = "k" * 32

WRONG = [
    ("ENVIRONMENT", "prod", "'development' or 'production'"),
    ("DATABASE_URL", "mysql://host/name", "use postgresql:// or sqlite:///"),
    ("DATABASE_URL", "sqlite://", "name a file"),
    ("SECRET_KEY", "k" * 31, "at least 32 bytes"),
    ("ACCESS_TOKEN_EXPIRE_MINUTES", "0", "greater than or equal to 1"),
    ("REFRESH_TOKEN_EXPIRE_DAYS", "soon", "valid integer"),
    ("API_PORT", "65536", "less than or equal to 65535"),
    ("DATABASE_POOL_SIZE", "0", "greater than or equal to 1"),
    ("DATABASE_POOL_TIMEOUT_S", "inf", "finite number"),
    ("DATABASE_STATEMENT_TIMEOUT_S", "-1", "greater than 0"),
    *((f"{name}_URL", "example.com/v1", "write it with its scheme") for name in ("BETTER_AUTH", "OPENAI_BASE")),
    ("MCP_SERVER_URL", "https://", "write it with its scheme"),
    ("ALLOWED_ORIGINS", "app.example.com", "write it such as https://app.example.com"),
    ("ALLOWED_ORIGINS", "https://app.example.com/path", "without a path"),
    ("ACCESS_TOKEN_EXPIRE_MINUTES", "9" * 14, "less than or equal to"),
    ("REFRESH_TOKEN_EXPIRE_DAYS", "9" * 14, "less than or equal to"),
    ("API_HOST", "", "at least 1 character"),
    ("BROKER_URL", "localhost:6379", "redis://localhost:6379"),
    ("DATABASE_DIRECT_URL", "sqlite:///data/x.db", "postgresql://"),
    ("DATABASE_DIRECT_URL", "nowhere", "it is no URL"),
    ("GRAPHQL_MAX_COST", "none", "valid integer"),
    ("TRUSTED_DOCUMENTS", "nowhere", "there is neither a file nor a folder 'nowhere'"),
    ("TRUSTED_DOCUMENTS_ONLY", "true", "name the documents by TRUSTED_DOCUMENTS as well"),
    ("AUTH_JWKS_URL", "issuer.example.com/jwks", "write it with its scheme"),
    *(("AUTH_WEBHOOK_SECRET", text, "at least 16 bytes in base64") for text in ("secret", "whsec_AAAA", "whsec_A")),
    ("BETTER_AUTH_TABLE", "users", "only a table in the same PostgreSQL database can be followed"),
    ("EMAIL_URL", "smtp://127.0.0.1", "name the sender by EMAIL_FROM as well"),
    *(
        ("EMAIL_URL", url, "write it such as smtp://")
        for url in ("mail.example.com", "smtp://", "smtp://ada@host", "smtp://host:x")
    ),
    *(("EMAIL_FROM", sender, "write it such as Tasktalk <") for sender in ("Tasktalk", "a@b\r\nBcc: c@d", "a@b, c@d")),
    ("APP_URL", "app.example.com", "write it with its scheme"),
]


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("name", "value", "remedy"), WRONG)
def test_wrong_setting_is_named_in_one_line(
    name: str, value: str, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as raised:
        load_settings()
    message = str(raised.value)
    assert message.startswith(f"{name} is wrong: ")
    assert remedy in message
    assert "\n" not in message


def test_production_does_not_start_where_nobody_could_use_the_links() -> None:
    production = {"environment": Environment.PRODUCTION, "secret_key": KEY}
    mail = {"email_url": "smtp://ada:hunter2@127.0.0.1", "email_from": "Tasktalk <no-reply@example.com>"}
    for given, told in (
        ({"require_verified_email": True}, "REQUIRE_VERIFIED_EMAIL is wrong: nobody could verify an address"),
        (mail, "EMAIL_URL is wrong: say where the links lead by APP_URL"),
    ):
        with pytest.raises(SettingsError, match=told):
            load_settings(**production, **given)
    known = load_settings(**production, **mail, public_url="https://api.example.com/", require_verified_email=True)
    assert (known.sends_email, known.link_url) == (True, "https://api.example.com")
    assert "hunter2" not in repr(known)


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = repr(load_settings(secret_key=KEY, database_url="postgresql://ada:hunter2@host/name"))
    monkeypatch.setenv("DATABASE_URL", "postgresql://ada:hunter2@host/name?sslmode=sometimes")
    with pytest.raises(SettingsError, match="sslmode=sometimes") as raised:
        load_settings()
    assert KEY not in shown
    assert "hunter2" not in f"{shown} {raised.value}"


@pytest.mark.parametrize("key", [{}, {"SECRET_KEY": ""}], ids=["none", "empty"])
def test_production_makes_no_secret_key(key: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ({"ENVIRONMENT": "production"} | key).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=r"SECRET_KEY is wrong: .* make one with"):
        load_settings()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("keys", ["short", f"{KEY},short", ",".join([KEY] * 4)])
def test_previous_keys_are_few_and_as_long_as_the_present_one(keys: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY_PREVIOUS", keys)
    with pytest.raises(SettingsError, match="SECRET_KEY_PREVIOUS is wrong"):
        load_settings()
    monkeypatch.setenv("SECRET_KEY_PREVIOUS", f"{KEY}, {KEY}")
    assert load_settings().secret_key_previous == (KEY, KEY)


def test_development_makes_a_key_once_that_nobody_else_can_read(tmp_path: Path) -> None:
    first, second = load_settings(), load_settings()
    assert first.secret_key == second.secret_key
    assert len(first.secret_key) >= 32
    assert (tmp_path / "data" / "secret_key").stat().st_mode & 0o777 == 0o600


def test_development_keys_agree_when_several_processes_start_at_once(tmp_path: Path) -> None:
    barrier = threading.Barrier(8)

    def start(_number: int) -> str:
        barrier.wait()
        return load_settings().secret_key

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(start, range(8)))) == 1
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["secret_key"]


def test_reads_dotenv_and_prefers_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text(f"SECRET_KEY={KEY}\nAPI_PORT=9000\nAPI_HOST=0.0.0.0\nSOMETHING_ELSE=1\n")
    monkeypatch.setenv("API_PORT", "9001")
    settings = load_settings()
    assert (settings.secret_key, settings.api_port, settings.api_host) == (KEY, 9001, "0.0.0.0")  # noqa: S104
    # A key that is given is not stored.
    assert [path.name for path in tmp_path.iterdir()] == [".env"]


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("ALLOWED_ORIGINS", "", ()),
        ("ALLOWED_ORIGINS", "https://a.example", ("https://a.example",)),
        (
            "ALLOWED_ORIGINS",
            " https://a.example/ , http://localhost:3000,",
            ("https://a.example", "http://localhost:3000"),
        ),
        ("BETTER_AUTH_URL", "", None),
        ("BETTER_AUTH_URL", "https://app.example.com", "https://app.example.com"),
        *((name, "production", Environment.PRODUCTION) for name in ("environment", "ENVIRONMENT", "Environment")),
        ("SECRET_KEY", "é" * 16, "é" * 16),
    ],
)
def test_setting_is_read_in_its_plain_form(name: str, text: str, value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", KEY)
    monkeypatch.setenv(name, text)
    assert getattr(load_settings(), name.lower()) == value


def test_table_to_follow_is_quoted_or_refused() -> None:
    database_url = "postgresql://host/name"
    for text, quoted in (
        ('public."user"', '"public"."user"'),
        ('"user"', '"public"."user"'),
        ('"Auth-1"."User"', '"Auth-1"."User"'),
        ("neon_auth.user", '"neon_auth"."user"'),
        ("", None),
    ):
        assert load_settings(database_url=database_url, better_auth_table=text).better_auth_table == quoted
    for text in ("a.b.c", "User", '"a""b"', "user; DROP TABLE users", '"user" --', "x'", '."user"', f'"{"x" * 64}"'):
        with pytest.raises(SettingsError, match=r"^BETTER_AUTH_TABLE is wrong: write it such as"):
            load_settings(database_url=database_url, better_auth_table=text)


def test_every_setting_is_described() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
