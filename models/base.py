"""What the tables have in common, and what they get from the descriptions of their columns."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic.alias_generators import to_snake
from sqlalchemy import CheckConstraint, ColumnElement, ForeignKeyConstraint, Index, Table, func, text
from sqlmodel import Field, SQLModel

from core.clock import utc_now
from core.ids import new_id
from models.columns import Column, Filterable, Kind, References, Sortable, columns_of
from models.types import Id, UserId, UtcDateTime

SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Owned(SQLModel):
    """A row that belongs to one user: its key begins with the owner, so no other user's row can be meant."""

    user_id: str = Field(primary_key=True, sa_type=UserId, foreign_key="users.id", ondelete="CASCADE")
    id: str = Field(primary_key=True, sa_type=Id, default_factory=new_id)
    revision: int = Field(description="The owner's change counter when this row last changed.")
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime, description="When it was made.")


class Entity(Owned):
    """An owned row that clients see as a node: found by its id, synced, and left as a tombstone when it is deleted."""

    # Whether each change is recorded in the history, from which it can be undone.
    has_history: ClassVar[bool] = False

    @classmethod
    def entity_kind(cls) -> str:
        """Return the kind of row as tombstones and the history name it, such as TOOL_CALL."""
        return to_snake(cls.__name__).upper()


class Editable(Entity):
    """An entity that clients create, update and list."""

    created_at: Annotated[datetime, Filterable(), Sortable()] = Field(
        default_factory=utc_now, sa_type=UtcDateTime, description="When it was made."
    )
    updated_at: Annotated[datetime, Filterable(), Sortable()] = Field(
        default_factory=utc_now, sa_type=UtcDateTime, description="When it last changed."
    )


def noun_of(model: type[SQLModel]) -> str:
    """Return what people call a row of a model, such as tool call."""
    return to_snake(model.__name__).replace("_", " ")


def length_check(column: str, min_length: int, max_length: int) -> CheckConstraint:
    """Bound the characters of a text column."""
    return CheckConstraint(f"length({column}) BETWEEN {min_length} AND {max_length}", name=f"{column}_length")


def known_check(column: str, members: type[StrEnum]) -> CheckConstraint:
    """Let a column hold the names of an enum's members alone."""
    names = ", ".join(f"'{member}'" for member in members)
    return CheckConstraint(f"{column} IN ({names})", name=f"{column}_known")


def complete_table(model: type[Entity]) -> None:
    """Give a table the checks, foreign keys and indexes that the descriptions of its columns ask for."""
    table: Table = model.__table__  # type: ignore[attr-defined]  # set by SQLModel's metaclass
    Index(f"ix_{table.name}_revision", table.c.user_id, table.c.revision)
    for column in columns_of(model).values():
        if column.writable and (check := _check(column)) is not None:
            table.append_constraint(check)
        if column.references is not None:
            table.append_constraint(_owned_reference(table, column.name, column.references))
        if column.sortable is not None and column.sortable.has_index:
            _add_sort_indexes(table, column)


def _check(column: Column) -> CheckConstraint | None:
    if column.kind is Kind.TEXT:
        return length_check(column.name, column.minimum or 0, column.maximum or 0)
    if column.kind is Kind.INTEGER:
        bounds = f"{column.name} BETWEEN {column.minimum} AND {column.maximum}"
        return CheckConstraint(bounds, name=f"{column.name}_range")
    return None


def _owned_reference(table: Table, column: str, target: References) -> ForeignKeyConstraint:
    """Refer to a row of the same owner; a reference that does not cascade is cleared by the service that deletes."""
    return ForeignKeyConstraint(
        ["user_id", column],
        [f"{target.table}.user_id", f"{target.table}.id"],
        ondelete="CASCADE" if target.cascades else None,
        name=f"fk_{table.name}_of_{column}",
    )


def _add_sort_indexes(table: Table, column: Column) -> None:
    """Index a list ordered by the column; missing values come last in either direction, so they take two."""
    value: ColumnElement[object] = table.c[column.name]
    name, owner, row_id = f"ix_{table.name}_{column.name}", table.c.user_id, table.c.id
    if column.is_nullable:
        Index(name, owner, text(f"({column.name} IS NULL)"), value, row_id)
        Index(f"{name}_desc", owner, text(f"({column.name} IS NOT NULL)"), value, row_id)
    else:
        Index(name, owner, func.lower(value) if column.kind is Kind.TEXT else value, row_id)
