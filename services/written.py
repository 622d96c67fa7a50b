"""Rows that PostgreSQL writes as JSON: what would only be read to be written again is read as one text."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Boolean, ColumnElement, FromClause, Integer, String, Text, literal_column
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine
from sqlmodel import AutoString

from models.types import Named, Ranked, TextList, UtcDateTime
from services.order import Columns

# The name of the column that holds the texts of a page.
WRITTEN: Final = "written"

# Names are the clients' to choose: so many make statements that are worth keeping.
MOST_PARTS: Final = 64
# PostgreSQL cuts what is longer.
_LONGEST_NAME: Final = 63
_AS_IT_IS: Final = "{value}"
# As orjson writes moments, of which the driver keeps the first and the last as infinities.
_MOMENT: Final = """CASE {value} WHEN 'infinity' THEN '9999-12-31T23:59:59.999999+00:00'
WHEN '-infinity' THEN '0001-01-01T00:00:00+00:00'
ELSE replace(to_char({value} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US+00:00'), '.000000', '') END"""


class Part(NamedTuple):
    """A part of an object: what it is called, and the column that it has, or else the text that it is."""

    name: str
    column: str | None
    text: str


class Writing(NamedTuple):
    """What is written of each row, and whether a cursor of the first or the last is needed besides."""

    parts: tuple[Part, ...]
    has_ends: bool


def is_writable(part: Part, columns: Columns) -> bool:
    """Tell whether PostgreSQL writes a part just as we would."""
    is_known = part.column is None or (part.column in columns and _template(columns[part.column].type) is not None)
    return is_known and len(part.name) <= _LONGEST_NAME


def written_row(source: FromClause, parts: Sequence[Part]) -> ColumnElement[str]:
    """Return the text of the object of a row."""
    values = [
        literal_column(f"'{part.text}'", Text()) if part.column is None else source.c[part.column] for part in parts
    ]
    return _WrittenRow(*(value.label(part.name) for value, part in zip(values, parts, strict=True)))


class _WrittenRow(FunctionElement[str]):
    """The text of a JSON object of some columns, each by its label."""

    type = Text()
    inherit_cache = True


@compiles(_WrittenRow, "postgresql")
def _write_row(element: _WrittenRow, compiler: SQLCompiler, **options: Any) -> str:
    labels: Iterable[Any] = element.clauses
    values = [
        f'{(_template(label.type) or "").format(value=compiler.process(label.element, **options))} AS "{label.name}"'
        for label in labels
    ]
    return f"(SELECT row_to_json(fields.*)::text FROM (SELECT {', '.join(values)}) AS fields)"  # noqa: S608 - names of GraphQL


def _template(type_: TypeEngine[Any]) -> str | None:
    """Return how the value of a type is said so that its JSON is ours; None where there is no way."""
    if isinstance(type_, UtcDateTime):
        return _MOMENT
    if isinstance(type_, Ranked):
        names = ", ".join(f"'{member.value}'" for member in type_.members)
        return f"(ARRAY[{names}])[{_AS_IT_IS}]"
    is_plain = type_ is TextList or type(type_) is Integer or isinstance(type_, AutoString | Boolean | Named | String)
    return _AS_IT_IS if is_plain else None
