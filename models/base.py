"""What the tables have in common."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKeyConstraint
from sqlmodel import Field, SQLModel

from core.clock import utc_now
from core.ids import new_id
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


def length_check(column: str, least: int, most: int) -> CheckConstraint:
    """Bound the characters of a text column."""
    return CheckConstraint(f"length({column}) BETWEEN {least} AND {most}", name=f"{column}_length")


def owned_reference(column: str, table: str) -> ForeignKeyConstraint:
    """Refer to a row of the same owner; it takes the referring row with it when it goes."""
    return ForeignKeyConstraint(
        ["user_id", column], [f"{table}.user_id", f"{table}.id"], ondelete="CASCADE", name=f"fk_{table}_of_{column}"
    )
