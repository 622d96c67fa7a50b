"""Conditions that each database says in its own way; a list is always one parameter, however long."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, ClassVar, cast

import orjson
from sqlalchemy import BindParameter, Boolean, ColumnElement, Text, bindparam
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator

from models.types import ranks_of


class _List(TypeDecorator[Sequence[Any]]):
    """A list of texts: JSON on SQLite; one text on PostgreSQL too, whose driver would look at each element for long."""

    impl = Text
    cache_ok = True
    on_postgresql: ClassVar = "VARCHAR[]"

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], str]:
        """Return what makes the text that is sent."""
        return self.as_json if dialect.name == "sqlite" else self.as_sent

    def bind_expression(self, bindparam: BindParameter[Any]) -> ColumnElement[Any]:
        """Return what makes of the text what it stands for."""
        return _Read(bindparam)

    def as_json(self, values: Sequence[Any]) -> str:
        """Return the list as SQLite reads it."""
        return orjson.dumps(list(values)).decode()

    def as_sent(self, values: Sequence[Any]) -> str:
        """Return the list as PostgreSQL reads an array."""
        return f"{{{','.join(map(_quoted, values))}}}"


def _quoted(text: str) -> str:
    """Return an array's element; between quotes, nothing but quotes and backslashes means anything but itself."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


class _Read(FunctionElement[Any]):
    """What the text of a list stands for."""

    inherit_cache = True


@compiles(_Read, "postgresql")
def _read(element: _Read, compiler: SQLCompiler, **options: Any) -> str:
    (parameter,) = element.clauses
    kind = cast("_List", parameter.type).on_postgresql
    return f"CAST({compiler.process(parameter, **options)} AS {kind})"


@compiles(_Read, "sqlite")
def _read_sqlite(element: _Read, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.clauses, **options)


class _IdList(_List):
    """A list of ids, which need no quotes."""

    cache_ok = True
    on_postgresql = "UUID[]"

    def as_sent(self, values: Sequence[str]) -> str:
        """Return the list as PostgreSQL reads an array."""
        return f"{{{','.join(values)}}}"


class _Words(_List):
    """Words to search for: a tsquery of prefixes on PostgreSQL."""

    cache_ok = True
    on_postgresql = "TSQUERY"

    def as_sent(self, values: Sequence[str]) -> str:
        """Return the query; a word is letters, digits and underscores alone, so quoting it is enough."""
        return " & ".join(f"'{word}':*" for word in values)


class _Ranks(_List):
    """Members of an enum that is kept as its rank."""

    cache_ok = True
    on_postgresql = "SMALLINT[]"

    def __init__(self, members: type[StrEnum]) -> None:
        super().__init__()
        self.members = members
        self._rank_of = ranks_of(members)

    def as_json(self, values: Sequence[StrEnum]) -> str:
        """Return the ranks as SQLite reads them."""
        return super().as_json([self._rank_of[member] for member in values])

    def as_sent(self, values: Sequence[StrEnum]) -> str:
        """Return the ranks as PostgreSQL reads an array."""
        return f"{{{','.join(str(self._rank_of[member]) for member in values)}}}"


def id_list(ids: Sequence[str]) -> ColumnElement[Any]:
    """Return any number of ids as one parameter."""
    return bindparam(None, ids, type_=_IdList())


def ids_named(name: str) -> ColumnElement[Any]:
    """Return the parameter of a prepared statement that will be any number of ids."""
    return bindparam(name, type_=_IdList())


def text_list(texts: Sequence[str]) -> ColumnElement[Any]:
    """Return any number of texts as one parameter."""
    return bindparam(None, texts, type_=_List())


def texts_named(name: str) -> ColumnElement[Any]:
    """Return the parameter of a prepared statement that will be any number of texts."""
    return bindparam(name, type_=_List())


def words_named(name: str) -> ColumnElement[Any]:
    """Return the parameter of a prepared statement that will be words to search for."""
    return bindparam(name, type_=_Words())


def members_named(name: str, members: type[StrEnum]) -> ColumnElement[Any]:
    """Return the parameter of a prepared statement that will be any number of an enum's members, by their ranks."""
    return bindparam(name, type_=_Ranks(members))


class _Condition(FunctionElement[bool]):
    """A condition on a column and one parameter."""

    type = Boolean()
    inherit_cache = True
    # Or SQLite would be asked whether it equals 1, and would use no index for it.
    _is_implicitly_boolean = True


def _sides(element: _Condition, compiler: SQLCompiler, **options: Any) -> tuple[str, str]:
    column, parameter = element.clauses
    return compiler.process(column, **options), compiler.process(parameter, **options)


class IsAnyOf(_Condition):
    """The column is one of a list."""

    name = "is_any_of"
    inherit_cache = True


class HasAll(_Condition):
    """The list in the column has every element of another."""

    name = "has_all"
    inherit_cache = True


class HasWords(_Condition):
    """The words in the column include one that begins with each of a list."""

    name = "has_words"
    inherit_cache = True


class Contains(_Condition):
    """The text in the column contains another, case and all."""

    name = "contains_text"
    inherit_cache = True


class StartsWith(_Condition):
    """The text in the column begins with another, case and all."""

    name = "starts_with_text"
    inherit_cache = True


@compiles(IsAnyOf, "postgresql")
def _is_any_of(element: IsAnyOf, compiler: SQLCompiler, **options: Any) -> str:
    column, values = _sides(element, compiler, **options)
    return f"{column} = ANY ({values})"


@compiles(IsAnyOf, "sqlite")
def _is_any_of_sqlite(element: IsAnyOf, compiler: SQLCompiler, **options: Any) -> str:
    column, values = _sides(element, compiler, **options)
    return f"{column} IN (SELECT value FROM json_each({values}))"


@compiles(HasAll, "postgresql")
def _has_all(element: HasAll, compiler: SQLCompiler, **options: Any) -> str:
    column, values = _sides(element, compiler, **options)
    return f"{column} @> {values}"


@compiles(HasAll, "sqlite")
def _has_all_sqlite(element: HasAll, compiler: SQLCompiler, **options: Any) -> str:
    column, values = _sides(element, compiler, **options)
    missing = f"wanted.value NOT IN (SELECT value FROM json_each({column}))"
    return f"NOT EXISTS (SELECT 1 FROM json_each({values}) AS wanted WHERE {missing})"


@compiles(HasWords, "postgresql")
def _has_words(element: HasWords, compiler: SQLCompiler, **options: Any) -> str:
    column, words = _sides(element, compiler, **options)
    return f"array_to_tsvector(string_to_array({column}, ' ')) @@ {words}"


@compiles(HasWords, "sqlite")
def _has_words_sqlite(element: HasWords, compiler: SQLCompiler, **options: Any) -> str:
    column, words = _sides(element, compiler, **options)
    missing = f"instr(' ' || {column}, ' ' || word.value) = 0"
    return f"NOT EXISTS (SELECT 1 FROM json_each({words}) AS word WHERE {missing})"


@compiles(Contains, "postgresql")
def _contains(element: Contains, compiler: SQLCompiler, **options: Any) -> str:
    column, part = _sides(element, compiler, **options)
    return f"strpos({column}, {part}) > 0"


@compiles(Contains, "sqlite")
def _contains_sqlite(element: Contains, compiler: SQLCompiler, **options: Any) -> str:
    column, part = _sides(element, compiler, **options)
    return f"instr({column}, {part}) > 0"


@compiles(StartsWith)
def _starts_with(element: StartsWith, compiler: SQLCompiler, **options: Any) -> str:
    column, beginning = _sides(element, compiler, **options)
    return f"substr({column}, 1, length({beginning})) = {beginning}"
