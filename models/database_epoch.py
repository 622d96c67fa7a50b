"""The table of the database's epoch, which has one row."""

from typing import Final

from sqlmodel import Field, SQLModel

ONLY_ID: Final = 1


class DatabaseEpoch(SQLModel, table=True):
    """What cursors are compared with: it differs once the database was restored to an earlier state."""

    __tablename__ = "database_epoch"

    id: int = Field(default=ONLY_ID, primary_key=True, sa_column_kwargs={"autoincrement": False})
    # Empty until the first restore, as in cursors without an epoch.
    epoch: str = Field(max_length=36)
