"""Prepared statements: SQLAlchemy Core statements that are compiled once and run on the driver."""

from collections import namedtuple
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import partial, wraps
from typing import Any, Final, ParamSpec, TypeAlias, cast

from sqlalchemy import ARRAY, ColumnElement, Executable, Select, Text, Uuid
from sqlalchemy import cast as cast_as
from sqlalchemy.engine import Dialect
from sqlalchemy.sql import visitors
from sqlalchemy.types import TypeEngine

from core.cache import LRUCache

Rows: TypeAlias = Sequence[Any]
Values: TypeAlias = Mapping[str, Any]
_Processor: TypeAlias = Callable[[Any], Any]
_Arguments = ParamSpec("_Arguments")

# The execution option of statements whose best plan depends on the values of their parameters.
PLAN_EACH_TIME: Final = "plan_each_time"
_REQUIRED: Final = object()
# Measured, with the SQL of one dialect.
_BYTES_PER_STATEMENT: Final = 30_000
_BYTES_PER_ELEMENT: Final = 300


class CompiledStatement:
    """The SQL of a statement in one dialect, its parameters in their positions, and the type of its rows."""

    def __init__(self, statement: Any, dialect: Dialect) -> None:
        if isinstance(statement, Select) and dialect.name == "postgresql":
            statement = _with_ids_as_text(statement, dialect)
        compiled = statement.compile(dialect=dialect)
        self.sql = str(compiled)
        self.is_planned_each_time = PLAN_EACH_TIME in statement.get_execution_options()
        self._parameters: list[tuple[str, Any, _Processor | None]] = []
        for name in compiled.positiontup or ():
            bound = compiled.binds[name]
            default = _REQUIRED if bound.required else bound.effective_value
            self._parameters.append((name, default, _bind_processor(bound.type.dialect_impl(dialect), dialect)))
        columns = list(statement.exported_columns)
        self._processors = [
            (index, process)
            for index, column in enumerate(columns)
            if (process := _result_processor(column.type.dialect_impl(dialect), dialect)) is not None
        ]
        row: Any = namedtuple("Row", [str(column.key) for column in columns])  # type: ignore[misc] # noqa: PYI024 - its names are known here alone
        self._make_row = partial(tuple.__new__, row)

    def arguments(self, values: Values) -> list[Any]:
        """Return the values in their positions, as the driver takes them."""
        arguments = []
        for name, default, process in self._parameters:
            value = values.get(name, default)
            if value is _REQUIRED:
                raise LookupError(f"The statement needs a value for {name}.")
            arguments.append(value if process is None else process(value))
        return arguments

    def rows(self, records: Iterable[Iterable[Any]]) -> list[Any]:
        """Return the driver's records as named tuples of the values that SQLAlchemy would give."""
        if self._processors and records:
            # Column by column: one call of map for each in place of one of Python for each value.
            columns: list[Iterable[Any]] = list(zip(*records, strict=True))
            for index, process in self._processors:
                columns[index] = map(process, columns[index])
            records = zip(*columns, strict=True)
        return list(map(self._make_row, records))


class PreparedStatement:
    """A statement whose parameters are given by name each time that it is run; compiled once for each dialect."""

    __slots__ = ("_compiled", "statement")

    def __init__(self, statement: Executable) -> None:
        self.statement = statement
        self._compiled: dict[str, CompiledStatement] = {}

    def compiled(self, dialect: Dialect) -> CompiledStatement:
        """Return the statement in a dialect."""
        if (found := self._compiled.get(dialect.name)) is None:
            found = self._compiled[dialect.name] = CompiledStatement(self.statement, dialect)
        return found


STATEMENTS: Final[LRUCache[Hashable, PreparedStatement]] = LRUCache("statements", max_bytes=32 << 20)


def cached_statement(build: Callable[_Arguments, Executable]) -> Callable[_Arguments, PreparedStatement]:
    """Cache the statements that a function builds, by its arguments, which are all that their SQL depends on."""

    @wraps(build)
    def get(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> PreparedStatement:
        key = (build, *args)
        if (statement := STATEMENTS.get(key)) is None:
            statement = PreparedStatement(build(*args, **kwargs))
            elements = visitors.iterate(cast("Any", statement.statement))
            size_bytes = _BYTES_PER_STATEMENT + _BYTES_PER_ELEMENT * len(list(elements))
            STATEMENTS.put(key, statement, size_bytes)
        return statement

    return get


def _with_ids_as_text(statement: Select[Any], dialect: Dialect) -> Select[Any]:
    """Let PostgreSQL write ids as text: it takes the driver longer to make objects of them, and us to write those."""
    columns = [
        cast_as(column, Text).label(column.key) if _is_uuid(column, dialect) else column
        for column in statement.selected_columns
    ]
    return statement.with_only_columns(*columns, maintain_column_froms=True)


def _is_uuid(column: ColumnElement[Any], dialect: Dialect) -> bool:
    return isinstance(column.type.dialect_impl(dialect), Uuid)


def _bind_processor(type_: TypeEngine[Any], dialect: Dialect) -> _Processor | None:
    if isinstance(type_, ARRAY) and type_.item_type.dialect_impl(dialect).bind_processor(dialect) is None:
        # The driver takes lists.
        return None
    return type_.bind_processor(dialect)


def _result_processor(type_: TypeEngine[Any], dialect: Dialect) -> _Processor | None:
    if isinstance(type_, ARRAY) and type_.item_type.dialect_impl(dialect).result_processor(dialect, None) is None:
        # The driver has made a list of it.
        return None
    return type_.result_processor(dialect, None)
