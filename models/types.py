"""Column types that mean the same on SQLite and PostgreSQL."""

from collections.abc import Callable, Mapping
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
        return _with_offset(value)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None] | None:
        # SQLite's driver gives texts, which have to be read first.
        return super().result_processor(dialect, coltype) if dialect.name == "sqlite" else _with_offset


def _with_offset(value: datetime | None) -> datetime | None:
    # SQLite keeps no offset, and PostgreSQL's driver drops it from the first and the last moment there are.
    return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


def ranks_of(members: type[StrEnum]) -> dict[StrEnum, int]:
    """Return the ranks by which an enum's members are kept."""
    return {member: rank for rank, member in enumerate(members, start=1)}


class _StoredEnum(TypeDecorator[StrEnum]):
    """An enum kept by another value of each member."""

    impl: Any = String
    cache_ok = True

    def __init__(self, members: type[StrEnum], stored: Mapping[StrEnum, Any]) -> None:
        super().__init__()
        self.members = members
        self._stored: dict[StrEnum | None, Any] = {None: None} | dict(stored.items())

    def process_bind_param(self, value: StrEnum | None, dialect: Dialect) -> Any:
        return self._stored[value]

    def bind_processor(self, dialect: Dialect) -> Callable[[StrEnum | None], Any]:
        return self._stored.__getitem__

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], StrEnum | None]:
        return {value: member for member, value in self._stored.items()}.__getitem__


class Ranked(_StoredEnum):
    """An enum kept as its rank, from 1, so that it sorts by meaning and not by name."""

    impl = SmallInteger
    cache_ok = True

    def __init__(self, members: type[StrEnum]) -> None:
        super().__init__(members, ranks_of(members))


class Named(_StoredEnum):
    """An enum kept by its name."""

    impl = String(20)
    cache_ok = True

    def __init__(self, members: type[StrEnum]) -> None:
        super().__init__(members, {member: member.value for member in members})
