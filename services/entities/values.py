"""Validation of what clients send for a row, by the descriptions of its columns."""

from collections.abc import Callable, Mapping
from datetime import UTC
from functools import partial
from typing import Any, Final, TypeAlias

from sqlmodel import SQLModel

from core.errors import BadUserInputError, check_each
from core.text import require_length, require_line
from models.base import noun_of
from models.columns import Column, Kind, columns_of, creatable_columns

Path: TypeAlias = tuple[str, ...]
Values: TypeAlias = dict[str, Any]
INPUT: Final[Path] = ("input",)


def check_values(model: type[SQLModel], given: Mapping[str, Any], path: Path = INPUT) -> Values:
    """Return values as the database keeps them; raise BadUserInputError for those that cannot be accepted."""
    columns = columns_of(model)
    checked = check_each(_check, ((columns[name], value, path) for name, value in given.items()))
    return dict(zip(given, checked, strict=True))


def check_new_values(model: type[SQLModel], given: Mapping[str, Any], path: Path = INPUT) -> Values:
    """Return the values of a new row: those that are given, checked, and the defaults of all others."""
    columns = creatable_columns(model)
    checked = check_each(_check_new, ((column, given.get(column.name), path) for column in columns))
    return {column.name: value for column, value in zip(columns, checked, strict=True)}


def sent_values(model: type[SQLModel], given: Mapping[str, Any]) -> Values:
    """Return what was sent for a new row without defaults, so that a column that is added later changes nothing."""
    columns = columns_of(model)
    return {
        name: value
        for name, value in given.items()
        if value is not None and (columns[name].is_required or value != columns[name].make_default())
    }


def _check_new(column: Column, value: Any, path: Path) -> Any:
    return column.make_default() if value is None and not column.is_required else _check(column, value, path)


def _check(column: Column, value: Any, row_path: Path) -> Any:
    path = (*row_path, column.api_name)
    if value is not None:
        return _CHECKS[column.kind](column, value, path)
    if column.is_nullable:
        return None
    if column.kind is Kind.TEXTS:
        return []
    message = f"{column.api_name} cannot be cleared; leave it out to keep it as it is."
    raise BadUserInputError(message, path=path)


def _check_text(column: Column, value: str, path: Path) -> str:
    """Return a text; one that may not be empty is a line, without white space around it."""
    if column.minimum:
        return require_line(value, path, max_length=column.maximum or 0)
    return require_length(value, path, min_length=0, max_length=column.maximum or 0)


def _check_integer(column: Column, value: int, path: Path) -> int:
    minimum, maximum = column.minimum or 0, column.maximum or 0
    if minimum <= value <= maximum:
        return value
    raise BadUserInputError(f"{column.api_name} must be {column.bounds}; it is {value}.", path=path)


def _check_texts(column: Column, values: list[str], path: Path) -> list[str]:
    """Return the texts of a list, each once."""
    maximum, length = column.maximum or 0, column.max_element_length or 0
    if len(values) > maximum:
        message = f"A {noun_of(column.model)} has at most {maximum} {column.name}; these are {len(values)}."
        raise BadUserInputError(message, path=path)
    check = partial(require_line, max_length=length)
    checked = check_each(check, ((value, (*path, str(index))) for index, value in enumerate(values)))
    return list(dict.fromkeys(checked))


_CHECKS: Final[dict[Kind, Callable[[Column, Any, Path], Any]]] = {
    Kind.TEXT: _check_text,
    Kind.INTEGER: _check_integer,
    Kind.BOOLEAN: lambda _column, value, _path: value,
    Kind.MOMENT: lambda _column, value, _path: value.astimezone(UTC),
    Kind.ENUM: lambda _column, value, _path: value,
    Kind.TEXTS: _check_texts,
    # Whether there is such a row is for the service to see.
    Kind.REFERENCE: lambda _column, value, _path: value.lower(),
}
