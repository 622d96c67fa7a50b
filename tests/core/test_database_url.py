"""Database URLs as people paste them."""

import ssl
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg

from core.database_url import parse_database_url

NEON = "postgresql://ada:pa%40ss@ep-cool-name-123456-pooler.eu-central-1.aws.neon.tech/main"

POSTGRES = [
    *((f"{scheme}://ada@host/name", {}) for scheme in ("postgres", "postgresql", "postgresql+asyncpg")),
    ("postgresql://ada@host/name?sslmode=require", {"ssl": "require"}),
    ("postgresql://ada@host/name?sslmode=disable", {"ssl": "disable"}),
    ("postgresql://ada@host/name?sslmode=prefer&gssencmode=disable", {"ssl": "prefer"}),
    ("postgresql://ada@host/name?sslmode=require&channel_binding=require", {"ssl": "require"}),
    ("postgresql://ada@host/name?connect_timeout=10", {"timeout": 10.0}),
    ("postgresql://ada@host/name?application_name=jobs", {"server_settings": {"application_name": "jobs"}}),
    (
        "postgresql://ada@host/name?options=-c%20work_mem%3D8MB%20-cjit%3Doff",
        {"server_settings": {"work_mem": "8MB", "jit": "off"}},
    ),
    ("postgresql://ada@host/name?keepalives=1&keepalives_idle=30&tcp_user_timeout=5000", {}),
    ("postgresql://ada@host/name?target_session_attrs=primary", {"target_session_attrs": "primary"}),
]

REFUSED = [
    ("", "it is no URL"),
    ("host/name", "it is no URL"),
    ("mysql://host/name", "mysql:// is not supported; use postgresql:// or sqlite:///"),
    ("postgresql+psycopg://host/name", r"postgresql\+psycopg:// is not supported"),
    ("sqlite://", "name a file"),
    ("sqlite:///:memory:", "name a file"),
    ("postgresql://host/name?sslmode=always", "sslmode=always is unknown; use one of"),
    ("postgresql://host/name?sslmode=verify-full&sslrootcert=missing.pem", "sslrootcert=missing.pem cannot be read"),
    ("postgresql://host/name?connect_timeout=soon", "connect_timeout must be a number of seconds, not 'soon'"),
    *((f"postgresql://host/name?connect_timeout={value}", "connect_timeout must be") for value in ("-1", "inf", "nan")),
    ("postgresql://host/name?colour=blue", "the parameter colour is not supported; remove it"),
    ("postgresql://host:port/name", "it is no URL"),
    ("postgresql://host:65536/name", "the port 65536 does not exist"),
    ("postgresql://one,two:0/name", "the port 0 does not exist"),
    ("postgresql://host/name?target_session_attrs=fastest", "target_session_attrs=fastest is unknown; use one of"),
    ("postgresql://host/name?options=-c%20jit", "the option 'jit' is not supported; write options=-c name=value"),
]


@pytest.mark.parametrize(("text", "connect_args"), POSTGRES)
def test_postgres(text: str, connect_args: dict[str, Any]) -> None:
    target = parse_database_url(text)
    assert target.url.render_as_string() == "postgresql+asyncpg://ada@host/name"
    assert target.connect_args == connect_args
    assert not target.is_sqlite


@pytest.mark.parametrize(("mode", "checks_name"), [("verify-ca", False), ("verify-full", True)])
def test_verified_modes_check_the_certificate(mode: str, checks_name: bool) -> None:
    context = parse_database_url(f"postgresql://ada@host/name?sslmode={mode}").connect_args["ssl"]
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname is checks_name


def test_pooled_neon_address_as_pasted() -> None:
    target = parse_database_url(f"{NEON}?sslmode=require&channel_binding=require")
    assert (target.url.password, target.url.query, target.connect_args["ssl"]) == ("pa@ss", {}, "require")
    names = ("statement_cache_size", "prepared_statement_cache_size")
    assert [target.connect_args[name] for name in names] == [0, 0]


def test_statements_behind_a_pooler_have_no_names() -> None:
    for text, is_pooled in (
        (NEON, True),
        (NEON.replace("-pooler", ""), False),
        ("postgresql://ada@host:6432/name?pgbouncer=true", True),
        ("postgresql://ada@host:6432/name?pgbouncer=false", False),
        ("postgresql://ada@db-pooler.internal:6432/name", True),
    ):
        make_name = parse_database_url(text).connect_args.get("prepared_statement_name_func")
        assert (make_name is not None) is is_pooled
        assert make_name is None or make_name() == ""


def test_several_hosts_lead_to_the_one_that_takes_writes() -> None:
    target = parse_database_url("postgresql://ada:pa%40ss@one:5433,two/name?sslmode=require")
    assert target.url.query == {"host": ("one:5433", "two:5432")}
    assert (target.url.password, target.url.database) == ("pa@ss", "name")
    assert target.connect_args == {"ssl": "require", "target_session_attrs": "read-write"}
    _, arguments = PGDialect_asyncpg().create_connect_args(target.url)  # type: ignore[no-untyped-call]
    assert (arguments["host"], arguments["port"]) == (["one", "two"], [5433, 5432])


def test_socket_folder_stays_in_the_url() -> None:
    target = parse_database_url("postgresql://ada@/name?host=/run/postgresql&port=5433")
    assert target.url.query == {"host": "/run/postgresql", "port": "5433"}


@pytest.mark.parametrize("scheme", ["sqlite", "sqlite+aiosqlite"])
def test_sqlite_file_is_found_from_any_folder(scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    target = parse_database_url(f"{scheme}:///data/tasktalk.db")
    assert target.is_sqlite
    assert target.url.drivername == "sqlite+aiosqlite"
    assert target.url.database == str(tmp_path / "data" / "tasktalk.db")


@pytest.mark.parametrize(("text", "reason"), REFUSED)
def test_refused_with_the_remedy(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_database_url(text)
