"""Statements that are compiled once, and run on the driver itself; their rows are named tuples."""

from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias, cast

from sqlalchemy import ARRAY, ColumnElement, CompoundSelect, Select, Text, Uuid
from sqlalchemy import cast as cast_as
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

Rows: TypeAlias = Sequence[Any]
Values: TypeAlias = Mapping[str, Any]
_Statement: TypeAlias = Select[*tuple[Any, ...]] | CompoundSelect[*tuple[Any, ...]]
_Processor: TypeAlias = Callable[[Any], Any]
_MakeRows: TypeAlias = Callable[[Iterable[Any]], list[Any]]
_MakeArguments: TypeAlias = Callable[[Values], list[Any]]

# How a column type reads a value where a call for each would take longer than the rest of reading it: an expression
# of the value and of the type's own processor, by the name of the database.
READ_INLINE: Final = "read_inline"
_AS_IT_IS: Final = "{value}"
_CALL: Final = "{process}({value})"


class Compiled:
    """A statement as one kind of database takes it."""

    def __init__(self, statement: _Statement, dialect: Dialect) -> None:
        statement = _with_ids_as_text(statement, dialect)
        compiled = statement.compile(dialect=dialect)
        self.sql = str(compiled)
        self._make_arguments = _argument_maker(compiled, dialect)
        self._required = [name for name in compiled.positiontup or () if compiled.binds[name].required]
        self.rows = _row_maker(list(statement.selected_columns), dialect)

    def arguments(self, values: Values) -> list[Any]:
        """Return the values in their places as the driver takes them."""
        try:
            return self._make_arguments(values)
        except KeyError:
            for name in self._required:
                if name not in values:
                    raise LookupError(f"The statement needs a value for {name}.") from None
            raise


class Prepared:
    """A statement whose values are given by their names each time that it is run."""

    __slots__ = ("_compiled", "statement")

    def __init__(self, statement: _Statement) -> None:
        self.statement = statement
        self._compiled: dict[str, Compiled] = {}

    def compiled(self, dialect: Dialect) -> Compiled:
        """Return the statement as a kind of database takes it, compiled when it is first asked for."""
        if (found := self._compiled.get(dialect.name)) is None:
            found = self._compiled[dialect.name] = Compiled(self.statement, dialect)
        return found


def _with_ids_as_text(statement: _Statement, dialect: Dialect) -> _Statement:
    """Let PostgreSQL write ids as text: it takes the driver longer to make objects of them, and us to write those."""
    if isinstance(statement, CompoundSelect) or dialect.name != "postgresql":
        return statement
    columns = [
        cast_as(column, Text).label(column.key) if _is_uuid(column, dialect) else column
        for column in statement.selected_columns
    ]
    return statement.with_only_columns(*columns, maintain_column_froms=True)


def _is_uuid(column: ColumnElement[Any], dialect: Dialect) -> bool:
    return isinstance(column.type.dialect_impl(dialect), Uuid)


def _argument_maker(compiled: SQLCompiler, dialect: Dialect) -> _MakeArguments:
    """Return a function that puts values in their places, written out as the one that makes rows."""
    scope: dict[str, Any] = {}
    givings = []
    for index, name in enumerate(compiled.positiontup or ()):
        bound = compiled.binds[name]
        scope[f"name{index}"], scope[f"constant{index}"] = name, bound.effective_value
        value = f"values[name{index}]" if bound.required else f"values.get(name{index}, constant{index})"
        process = scope[f"process{index}"] = _bind_processor(bound.type.dialect_impl(dialect), dialect)
        givings.append(value if process is None else f"process{index}({value})")
    return cast("_MakeArguments", eval(f"lambda values: [{', '.join(givings)}]", scope))  # noqa: S307 - numbers of parameters and our own templates


def _bind_processor(type_: TypeEngine[Any], dialect: Dialect) -> _Processor | None:
    if isinstance(type_, ARRAY) and type_.item_type.dialect_impl(dialect).bind_processor(dialect) is None:
        # The driver takes what there is.
        return None
    return cast("_Processor | None", type_.bind_processor(dialect))


def _row_maker(columns: Sequence[ColumnElement[Any]], dialect: Dialect) -> _MakeRows:
    """Return a function that makes rows of what the driver returns.

    A comprehension with each column's own expression written out is the fastest way, so one is compiled.
    """
    names = [str(column.key) for column in columns]
    scope: dict[str, Any] = {"make": tuple.__new__, "Row": namedtuple("Row", names)}  # noqa: PYI024 - its names are known here alone
    values = [f"value{index}" for index in range(len(names))]
    readings = []
    for value, column in zip(values, columns, strict=True):
        process = f"process_{value}"
        scope[process] = column.type.dialect_impl(dialect).result_processor(dialect, None)
        template = _AS_IT_IS if scope[process] is None else _reading(column, dialect)
        readings.append(template.format(value=value, process=process))
    if readings == values:
        source = "lambda records: [make(Row, record) for record in records]"
    else:
        source = f"lambda records: [make(Row, ({', '.join(readings)},)) for {', '.join(values)}, in records]"
    return cast("_MakeRows", eval(source, scope))  # noqa: S307 - numbers of columns and our own templates


def _reading(column: ColumnElement[Any], dialect: Dialect) -> str:
    type_ = column.type.dialect_impl(dialect)
    if isinstance(type_, ARRAY) and type_.item_type.dialect_impl(dialect).result_processor(dialect, None) is None:
        # The driver has made a list of it.
        return _AS_IT_IS
    inline: Mapping[str, str] = getattr(column.type, READ_INLINE, {})
    return inline.get(dialect.name, _CALL)
