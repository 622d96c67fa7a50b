"""Column types that mean the same on SQLite and PostgreSQL."""

from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import JSON, DateTime, SmallInteger, String, Uuid
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

# Canonical text to Python on both; 16 bytes on PostgreSQL.
Id: Final = String(36).with_variant(Uuid(as_uuid=False), "postgresql")
UserId: Final = String(255)
# Compared by code point on both databases, so that an order by it means the same on both.
Title: Final = String(500).with_variant(String(500, collation="C"), "postgresql")
TextList: Final = JSON().with_variant(ARRAY(String()), "postgresql")


class UtcDateTime(TypeDecorator[datetime]):
    """A moment: stored in UTC, read with its offset; SQLite keeps no offset by itself."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        # SQLite keeps no offset, and PostgreSQL's driver drops it from the first and the last moment there are.
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


def ranks_of(members: type[StrEnum]) -> dict[StrEnum, int]:
    """Return the ranks by which an enum's members are kept."""
    return {member: rank for rank, member in enumerate(members, start=1)}


class Ranked(TypeDecorator[StrEnum]):
    """An enum kept as its rank, from 1, so that it sorts by meaning and not by name."""

    impl = SmallInteger
    cache_ok = True

    def __init__(self, members: type[StrEnum]) -> None:
        super().__init__()
        self.members = members
        self._rank_of: dict[StrEnum | None, int | None] = {None: None}
        self._rank_of.update(ranks_of(members).items())

    def process_bind_param(self, value: StrEnum | None, dialect: Dialect) -> int | None:
        return self._rank_of[value]

    def bind_processor(self, dialect: Dialect) -> Callable[[StrEnum | None], int | None]:
        return self._rank_of.__getitem__

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], StrEnum | None]:
        return {rank: member for member, rank in self._rank_of.items()}.__getitem__


class Named(TypeDecorator[StrEnum]):
    """An enum kept by its name."""

    impl = String(20)
    cache_ok = True

    def __init__(self, members: type[StrEnum]) -> None:
        super().__init__()
        self.members = members

        self._name_of: dict[StrEnum | None, str | None] = {None: None}
        self._name_of.update((member, member.value) for member in members)

    def process_bind_param(self, value: StrEnum | None, dialect: Dialect) -> str | None:
        return self._name_of[value]

    def bind_processor(self, dialect: Dialect) -> Callable[[StrEnum | None], str | None]:
        return self._name_of.__getitem__

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], StrEnum | None]:
        return {name: member for member, name in self._name_of.items()}.__getitem__
