"""What Alembic runs, on the connection that it is given or, from its own command line, on one of the settings."""

import asyncio
import warnings
from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import Connection
from sqlalchemy.types import TypeDecorator
from sqlmodel import SQLModel

import migrations
import models  # noqa: F401 - fills the metadata
from core.settings import load_settings


def _render_item(kind: str, item: Any, _context: AutogenContext) -> str | Literal[False]:
    """Write what the database sees: a revision must not change when a type of ours does."""
    if kind == "type" and isinstance(item, TypeDecorator):
        return f"sa.{item.impl_instance!r}"
    return False


def _include_object(item: Any, _name: str | None, kind: str, *_rest: Any) -> bool:
    # Those that are found by a method of PostgreSQL's, such as gin, are made there alone.
    is_for_postgresql = kind == "index" and bool(item.dialect_options["postgresql"]["using"])
    return not is_for_postgresql or context.get_context().dialect.name == "postgresql"


def _run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=SQLModel.metadata,
        render_item=_render_item,
        include_object=_include_object,
        compare_type=True,
        compare_server_default=True,
    )
    with warnings.catch_warnings():
        # SQLite's expression indexes cannot be reflected; a test compares them in the database's own words.
        warnings.filterwarnings("ignore", "(Skipped unsupported|autogenerate skipping).* expression-based index")
        context.run_migrations()


async def _run_on_own_connection() -> None:
    async with migrations.locked_connection(load_settings()) as connection:
        await connection.run_sync(_run)


given: Connection | None = context.config.attributes.get("connection")
if given is not None:
    _run(given)
else:
    asyncio.run(_run_on_own_connection())
