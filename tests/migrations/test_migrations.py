"""The migrations: up, down and up again, and no difference between them and the models."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import SQLModel

import migrations
import models  # noqa: F401 - fills the metadata
from core.settings import Settings
from tests.databases import only_sqlite


async def tables(engine: AsyncEngine) -> set[str]:
    async with engine.connect() as connection:
        return set(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))


async def test_up_down_and_up_again(empty_settings: Settings, engine: AsyncEngine) -> None:
    every_table = {*SQLModel.metadata.tables, "alembic_version"}
    assert await migrations.current_revision(engine) is None
    for _ in range(2):
        await migrations.upgrade(empty_settings)
        assert await tables(engine) == every_table
        assert await migrations.current_revision(engine) == migrations.head_revision()
        await migrations.run(empty_settings, lambda config: command.downgrade(config, "base"))
        assert await tables(engine) == {"alembic_version"}
        assert await migrations.current_revision(engine) is None


async def test_each_step_down_can_be_taken_up_again(empty_settings: Settings, engine: AsyncEngine) -> None:
    await migrations.upgrade(empty_settings)
    revision: str | None = migrations.head_revision()
    while revision is not None:
        before = await described(engine)
        await migrations.run(empty_settings, lambda config: command.downgrade(config, "-1"))
        await migrations.run(empty_settings, lambda config: command.upgrade(config, "+1"))
        assert await migrations.current_revision(engine) == revision
        assert await described(engine) == before
        await migrations.run(empty_settings, lambda config: command.downgrade(config, "-1"))
        revision = await migrations.current_revision(engine)


async def test_database_is_the_one_that_the_models_would_create(empty_settings: Settings, engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)
        expected = await connection.run_sync(description)
        await connection.run_sync(SQLModel.metadata.drop_all)
    await migrations.upgrade(empty_settings)
    assert await described(engine) == expected
    # Autogeneration finds nothing to do.
    await migrations.run(empty_settings, command.check)


async def described(engine: AsyncEngine) -> dict[str, Any]:
    async with engine.connect() as connection:
        return await connection.run_sync(description)


def description(connection: Connection) -> dict[str, Any]:
    """Describe every table; the indexes in the database's own words, for they hold expressions."""
    inspector = inspect(connection)
    tables = {
        table: {
            "columns": {column["name"]: f"{column}" for column in inspector.get_columns(table)},
            "primary key": inspector.get_pk_constraint(table),
            "foreign keys": sorted(map(str, inspector.get_foreign_keys(table))),
            "checks": sorted(map(str, inspector.get_check_constraints(table))),
        }
        for table in sorted(set(inspector.get_table_names()) - {"alembic_version"})
    }
    indexes = (
        "SELECT indexname AS name, indexdef AS sql FROM pg_indexes "
        "WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
        if connection.dialect.name == "postgresql"
        else "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name <> 'alembic_version'"
    )
    return {"tables": tables, "indexes": {row.name: row.sql for row in connection.execute(text(indexes))}}


async def test_several_that_start_at_once_do_not_collide(empty_settings: Settings, engine: AsyncEngine) -> None:
    await asyncio.gather(*(migrations.upgrade(empty_settings) for _ in range(5)))
    assert await migrations.current_revision(engine) == migrations.head_revision()


async def test_failed_migration_leaves_no_trace(empty_settings: Settings, engine: AsyncEngine) -> None:
    def fail_half_way(config: Any) -> None:
        command.upgrade(config, "head")
        raise LookupError

    with pytest.raises(LookupError):
        await migrations.run(empty_settings, fail_half_way)
    assert await tables(engine) == set()


@only_sqlite
async def test_foreign_keys_are_checked_before_the_commit(empty_settings: Settings) -> None:
    await migrations.upgrade(empty_settings)
    orphan = "INSERT INTO deletions (user_id, id, kind, revision, deleted_at) VALUES ('nobody', '1', 'TASK', 1, '')"

    def orphan_a_row(config: Any) -> None:
        config.attributes["connection"].exec_driver_sql(orphan)

    with pytest.raises(RuntimeError, match="would leave rows of deletions that refer to nothing"):
        await migrations.run(empty_settings, orphan_a_row)


def test_there_is_one_head_and_names_are_numbers() -> None:
    folder = Path(migrations.__file__).parent / "versions"
    files = sorted(path.name for path in folder.glob("[0-9]*.py"))
    assert [name[:4] for name in files] == [f"{number:04}" for number in range(1, len(files) + 1)]
    assert migrations.head_revision() == files[-1][:4]
