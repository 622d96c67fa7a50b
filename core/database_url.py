"""Database URLs as people paste them, made into what the drivers take."""

import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

_POSTGRES_SCHEMES = {"postgres", "postgresql", "postgresql+asyncpg"}
_SQLITE_SCHEMES = {"sqlite", "sqlite+aiosqlite"}
_VERIFIED_MODES = {"verify-ca", "verify-full"}
_SSL_MODES = {"disable", "allow", "prefer", "require"} | _VERIFIED_MODES
_PORTS = 1 << 16
_DEFAULT_PORT = 5432
# user:password@ first:5432,second:5432 /name
_SEVERAL_HOSTS = re.compile(r"(?P<scheme>[^:]+://)(?P<user>[^/?#]*@)?(?P<hosts>[^/?#@]*,[^/?#@]*)(?P<rest>[/?#].*)?")
_SESSION_ATTRIBUTES = {"any", "primary", "standby", "read-write", "read-only", "prefer-standby"}
# Parameters of libpq that asyncpg does by itself or has no use for; the server looks whether a connection lives.
_IGNORED_PARAMETERS = {
    "channel_binding",
    "gssencmode",
    "pgbouncer",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
}
# A statement is prepared without a name, for one use: a named one would stay behind on a connection of the pooler's.
_WITHOUT_KEPT_STATEMENTS = {
    "statement_cache_size": 0,
    "prepared_statement_cache_size": 0,
    "prepared_statement_name_func": str,
}


@dataclass(frozen=True, slots=True)
class DatabaseTarget:
    """A URL for SQLAlchemy, and the arguments for the driver."""

    url: URL
    connect_args: dict[str, Any] = field(default_factory=dict)
    # Each transaction may run on another connection of the server's.
    is_pooled: bool = False

    @property
    def is_sqlite(self) -> bool:
        """Tell whether the embedded database is meant."""
        return self.url.get_backend_name() == "sqlite"


def parse_database_url(text: str) -> DatabaseTarget:
    """Read a pasted URL; raise ValueError with the remedy where it cannot be used."""
    text, hosts = _split_hosts(text)
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):  # ValueError: its port is no number
        raise ValueError("it is no URL; write postgresql://user:password@host/name or sqlite:///path/to/file") from None
    if url.drivername in _SQLITE_SCHEMES:
        return _sqlite_target(url)
    if url.drivername in _POSTGRES_SCHEMES:
        return _postgres_target(url, hosts)
    raise ValueError(f"{url.drivername}:// is not supported; use postgresql:// or sqlite:///")


def _sqlite_target(url: URL) -> DatabaseTarget:
    if not url.database or url.database == ":memory:":
        raise ValueError("an in-memory SQLite database would be empty in every connection; name a file")
    return DatabaseTarget(url.set(drivername="sqlite+aiosqlite", database=str(Path(url.database).absolute())))


def _split_hosts(text: str) -> tuple[str, list[str]]:
    """Return a URL without its hosts, and these with their ports, where it names several; SQLAlchemy takes one."""
    if (match := _SEVERAL_HOSTS.fullmatch(text)) is None:
        return text, []
    hosts = [host if ":" in host else f"{host}:{_DEFAULT_PORT}" for host in match["hosts"].split(",")]
    return f"{match['scheme']}{match['user'] or ''}{match['rest'] or ''}", hosts


def _postgres_target(url: URL, hosts: list[str]) -> DatabaseTarget:
    query = {key: value if isinstance(value, str) else value[-1] for key, value in url.query.items()}
    connect_args: dict[str, Any] = {}
    if url.port is not None and not 0 < url.port < _PORTS:
        raise ValueError(f"the port {url.port} does not exist; PostgreSQL's own is 5432")
    if (mode := query.pop("sslmode", None)) is not None:
        connect_args["ssl"] = _ssl_argument(mode, query.pop("sslrootcert", None))
    if (timeout_s := query.pop("connect_timeout", None)) is not None:
        connect_args["timeout"] = _positive_number("connect_timeout", timeout_s)
    if server_settings := _server_settings(query):
        connect_args["server_settings"] = server_settings
    # Of several servers, the one that takes writes.
    if attributes := query.pop("target_session_attrs", "read-write" if hosts else ""):
        if attributes not in _SESSION_ATTRIBUTES:
            known = ", ".join(sorted(_SESSION_ATTRIBUTES))
            raise ValueError(f"target_session_attrs={attributes} is unknown; use one of {known}")
        connect_args["target_session_attrs"] = attributes
    if is_pooled := _is_pooled(url, query):
        connect_args |= _WITHOUT_KEPT_STATEMENTS
    kept: dict[str, Any] = {key: query.pop(key) for key in ("host", "port") if key in query}
    if hosts:
        _check_ports(hosts)
        kept = {"host": tuple(hosts)}
    unknown = sorted(query.keys() - _IGNORED_PARAMETERS)
    if unknown:
        raise ValueError(f"the parameter {unknown[0]} is not supported; remove it from the URL")
    return DatabaseTarget(url.set(drivername="postgresql+asyncpg", query=kept), connect_args, is_pooled)


def _server_settings(query: dict[str, str]) -> dict[str, str]:
    """Return the server's settings in `application_name` and `options=-c name=value`."""
    settings: dict[str, str] = {}
    if (name := query.pop("application_name", None)) is not None:
        settings["application_name"] = name
    for option in re.sub(r"(^|\s)(-c|--)\s*", r"\1", query.pop("options", "")).split():
        name, is_given, value = option.partition("=")
        if not is_given:
            raise ValueError(f"the option {option!r} is not supported; write options=-c name=value")
        settings[name] = value
    return settings


def _check_ports(hosts: list[str]) -> None:
    for host in hosts:
        port = host.rpartition(":")[2]
        if not port.isdecimal() or not 0 < int(port) < _PORTS:
            raise ValueError(f"the port {port} does not exist; PostgreSQL's own is {_DEFAULT_PORT}")


def _is_pooled(url: URL, query: dict[str, str]) -> bool:
    first_label = (url.host or "").split(".")[0]
    return first_label.endswith("-pooler") or query.get("pgbouncer", "").lower() == "true"


def _ssl_argument(mode: str, root_certificate: str | None) -> str | ssl.SSLContext:
    if mode not in _SSL_MODES:
        raise ValueError(f"sslmode={mode} is unknown; use one of {', '.join(sorted(_SSL_MODES))}")
    if mode not in _VERIFIED_MODES:
        return mode
    try:
        context = ssl.create_default_context(cafile=root_certificate)
    except OSError as error:
        raise ValueError(f"sslrootcert={root_certificate} cannot be read: {error.strerror}") from None
    context.check_hostname = mode == "verify-full"
    return context


def _positive_number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise ValueError(f"{name} must be a number of seconds, not {text!r}")
    return value
