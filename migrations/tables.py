"""What migrations do to tables of owned rows, on both databases.

SQLite adds no key to a table that is there. It is copied into a new one by its own text, so that checks and indexes,
those on expressions too, stay as they are.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

import sqlalchemy as sa
from alembic import op

ID: Final = sa.String(36).with_variant(sa.Uuid(as_uuid=False), "postgresql")
USER_ID: Final = sa.String(255)
MOMENT: Final = sa.DateTime(timezone=True)


def owned_columns(*, with_revision: bool = True) -> list[sa.Column[Any]]:
    """Return the columns that owned rows begin with."""
    columns: list[sa.Column[Any]] = [
        sa.Column("user_id", USER_ID, nullable=False),
        sa.Column("id", ID, nullable=False),
    ]
    if with_revision:
        columns.append(sa.Column("revision", sa.Integer(), nullable=False))
    return [*columns, sa.Column("created_at", MOMENT, nullable=False)]


def owner_key(table: str) -> sa.ForeignKeyConstraint:
    """Return the reference to the owner, with whom the rows go."""
    return sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f(f"fk_{table}_user_id"), ondelete="CASCADE")


def owned_reference(
    column: str, target: str, *, name: str, ondelete: str | None = "CASCADE"
) -> sa.ForeignKeyConstraint:
    """Return the reference to a row of the same owner."""
    return sa.ForeignKeyConstraint(
        ["user_id", column], [f"{target}.user_id", f"{target}.id"], name=op.f(name), ondelete=ondelete
    )


def add_owned_reference(table: str, column: str, target: str, *, ondelete: str | None = None) -> None:
    """Add a column that refers to a row of the same owner."""
    op.add_column(table, sa.Column(column, ID, nullable=True))
    name = f"fk_{table}_of_{column}"
    if _is_sqlite():
        action = f" ON DELETE {ondelete}" if ondelete else ""
        key = f"CONSTRAINT {name} FOREIGN KEY(user_id, {column}) REFERENCES {target} (user_id, id){action}"
        _rebuild_sqlite_table(table, lambda sql: f"{sql.rstrip()[:-1]}, {key})")
    else:
        op.create_foreign_key(name, table, target, ["user_id", column], ["user_id", "id"], ondelete=ondelete)


def drop_owned_reference(table: str, column: str) -> None:
    """Take such a column away again."""
    if _is_sqlite():
        key = f", CONSTRAINT fk_{table}_of_{column} FOREIGN KEY"
        _rebuild_sqlite_table(table, lambda sql: f"{sql[: sql.index(key)]})")
    else:
        op.drop_constraint(f"fk_{table}_of_{column}", table)
    op.drop_column(table, column)


def rename_constraint(table: str, name: str, new_name: str) -> None:
    """Rename a constraint."""
    if _is_sqlite():
        _rebuild_sqlite_table(table, lambda sql: sql.replace(f"CONSTRAINT {name} ", f"CONSTRAINT {new_name} "))
    else:
        op.execute(f"ALTER TABLE {table} RENAME CONSTRAINT {name} TO {new_name}")


def set_known_values(table: str, column: str, values: Sequence[str]) -> None:
    """Replace the check of the values that a column of an enum may have."""
    name, names = f"ck_{table}_{column}_known", ", ".join(f"'{value}'" for value in values)
    if _is_sqlite():
        old, new = re.compile(rf"(CONSTRAINT {name} CHECK \({column} IN )\([^)]*\)"), rf"\1({names})"
        _rebuild_sqlite_table(table, lambda sql: old.sub(new, sql))
    else:
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
        op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({column} IN ({names}))")


def _is_sqlite() -> bool:
    return op.get_context().dialect.name == "sqlite"


def _rebuild_sqlite_table(table: str, edit: Callable[[str], str]) -> None:
    """Copy a table into one whose text is edited; migrations run with foreign keys off and check them at the end."""
    connection = op.get_bind()
    texts = "SELECT type, sql FROM sqlite_master WHERE tbl_name = :table AND sql IS NOT NULL ORDER BY type = 'index'"
    (_, create), *indexes = connection.execute(sa.text(texts), {"table": table}).all()
    body = create[create.index("(") :]
    op.execute(f"CREATE TABLE rebuilt_{table} {edit(body)}")
    op.execute(f"INSERT INTO rebuilt_{table} SELECT * FROM {table}")  # noqa: S608 - names of our own tables
    op.drop_table(table)
    op.rename_table(f"rebuilt_{table}", table)
    for _, index in indexes:
        op.execute(sa.text(index.replace(":", r"\:")))
