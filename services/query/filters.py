"""Conditions of queries, in the SQL of either database; a list is always one parameter, however long."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from enum import StrEnum
from typing import Any, ClassVar, Final, NamedTuple, cast

import orjson
from sqlalchemy import BindParameter, Boolean, ColumnElement, TableValuedAlias, Text, bindparam, column
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator

from models.types import Id, UserId, ranks_of


class FilterTemplate(NamedTuple):
    """A filter without its values: its key decides the SQL, so statements are cached by it."""

    key: Hashable
    build: Callable[[Any], tuple[ColumnElement[bool], ...]]


class Conditions(NamedTuple):
    """A filter template, and the values of its parameters by their names."""

    template: FilterTemplate
    values: Mapping[str, Any]


NO_CONDITIONS: Final = Conditions(FilterTemplate((), lambda _key: ()), {})


class _ListParameter(TypeDecorator[Sequence[Any]]):
    """A list of texts as one parameter: JSON on SQLite, the text of an array on PostgreSQL.

    The driver takes a text faster than a list, each element of which it would encode by itself.
    """

    impl = Text
    cache_ok = True
    postgresql_type: ClassVar = "VARCHAR[]"

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], str]:
        """Return the function that makes the text."""
        return self.to_json if dialect.name == "sqlite" else self.to_array

    def bind_expression(self, bindparam: BindParameter[Any]) -> ColumnElement[Any]:
        """Return the expression that turns the text into a list."""
        return _CastList(bindparam)

    def to_json(self, values: Sequence[Any]) -> str:
        """Return the list as a JSON array."""
        return orjson.dumps(list(values)).decode()

    def to_array(self, values: Sequence[Any]) -> str:
        """Return the list as a PostgreSQL array literal."""
        # Within quotes, only quotes and backslashes are special.
        escaped = (text.replace("\\", "\\\\").replace('"', '\\"') for text in values)
        return "{" + ",".join(f'"{text}"' for text in escaped) + "}"


class _CastList(FunctionElement[Any]):
    inherit_cache = True


@compiles(_CastList)
def _cast_list(element: _CastList, compiler: SQLCompiler, **options: Any) -> str:
    (parameter,) = element.clauses
    value, type_name = compiler.process(parameter, **options), cast("_ListParameter", parameter.type).postgresql_type
    return value if compiler.dialect.name == "sqlite" else f"CAST({value} AS {type_name})"


class _IdList(_ListParameter):
    """A list of ids, which need no quotes."""

    cache_ok = True
    postgresql_type = "UUID[]"

    def to_array(self, values: Sequence[str]) -> str:
        """Return the list as a PostgreSQL array literal."""
        return f"{{{','.join(values)}}}"


class SearchWords(_ListParameter):
    """Words to search for: a tsquery of prefixes on PostgreSQL."""

    cache_ok = True
    postgresql_type = "TSQUERY"

    def to_array(self, values: Sequence[str]) -> str:
        """Return the query; a word is letters, digits and underscores alone, so quoting it is enough."""
        return " & ".join(f"'{word}':*" for word in values)


class _EnumList(_ListParameter):
    """Members of an enum whose column holds their ranks."""

    cache_ok = True
    postgresql_type = "SMALLINT[]"

    def __init__(self, members: type[StrEnum]) -> None:
        super().__init__()
        self.members = members
        self._rank_of = ranks_of(members)

    def to_json(self, values: Sequence[StrEnum]) -> str:
        """Return the ranks as a JSON array."""
        return super().to_json([self._rank_of[member] for member in values])

    def to_array(self, values: Sequence[StrEnum]) -> str:
        """Return the ranks as a PostgreSQL array literal."""
        return f"{{{','.join(str(self._rank_of[member]) for member in values)}}}"


def id_list(ids: Sequence[str]) -> ColumnElement[Any]:
    """Return any number of ids as one bound value."""
    return bindparam(None, ids, type_=_IdList())


def id_list_param(name: str) -> ColumnElement[Any]:
    """Return the parameter of a prepared statement that takes any number of ids."""
    return bindparam(name, type_=_IdList())


def text_list(texts: Sequence[str]) -> ColumnElement[Any]:
    """Return any number of texts as one bound value."""
    return bindparam(None, texts, type_=_ListParameter())


def text_list_param(name: str) -> ColumnElement[Any]:
    """Return the parameter of a prepared statement that takes any number of texts."""
    return bindparam(name, type_=_ListParameter())


def enum_list_param(name: str, members: type[StrEnum]) -> ColumnElement[Any]:
    """Return the parameter of a prepared statement that takes members of an enum, whose column holds their ranks."""
    return bindparam(name, type_=_EnumList(members))


class _Condition(FunctionElement[bool]):
    """A condition on a column and a parameter, as each database writes it."""

    type = Boolean()
    inherit_cache = True
    # Without it the condition is compared with 1 on SQLite, for which it uses no index.
    _is_implicitly_boolean = True
    postgresql: ClassVar[str]
    sqlite: ClassVar[str]


class IsAnyOf(_Condition):
    """The column is one of a list."""

    inherit_cache = True
    postgresql = "{column} = ANY ({value})"
    sqlite = "{column} IN (SELECT value FROM json_each({value}))"


class HasAll(_Condition):
    """The list in the column has every element of another."""

    inherit_cache = True
    postgresql = "{column} @> {value}"
    sqlite = """NOT EXISTS (SELECT 1 FROM json_each({value}) AS wanted
        WHERE wanted.value NOT IN (SELECT value FROM json_each({column})))"""


class HasWords(_Condition):
    """The words in the column include, for each of a list, one that begins with it."""

    inherit_cache = True
    postgresql = "array_to_tsvector(string_to_array({column}, ' ')) @@ {value}"
    sqlite = """NOT EXISTS (SELECT 1 FROM json_each({value}) AS word
        WHERE instr(' ' || {column}, ' ' || word.value) = 0)"""


class Contains(_Condition):
    """The text in the column contains another, case-sensitively."""

    inherit_cache = True
    # PostgreSQL knows how many rows a pattern finds.
    postgresql = r"{column} LIKE '%' || replace(replace(replace({value}, '\', '\\'), '%', '\%'), '_', '\_') || '%'"
    sqlite = "instr({column}, {value}) > 0"


class StartsWith(_Condition):
    """The text in the column begins with another, case-sensitively."""

    inherit_cache = True
    # The second is served by the index that orders by the column, in whose collation ASCII letters alone change.
    postgresql = '({column} ^@ {value} AND lower({column}) ^@ lower({value} COLLATE "C"))'
    sqlite = "substr({column}, 1, length({value})) = {value}"


@compiles(_Condition)
def _compile_condition(element: _Condition, compiler: SQLCompiler, **options: Any) -> str:
    template = element.sqlite if compiler.dialect.name == "sqlite" else element.postgresql
    column, value = (compiler.process(clause, **options) for clause in element.clauses)
    return template.format(column=column, value=value)


class _Pairs(FunctionElement[Any]):
    """The pairs of two lists' elements."""

    inherit_cache = True


@compiles(_Pairs, "postgresql")
def _pairs(element: _Pairs, compiler: SQLCompiler, **options: Any) -> str:
    # Subqueries, or the planner would count the elements and plan again for each number of them.
    lists = ", ".join(f"(SELECT {compiler.process(clause, **options)})" for clause in element.clauses)
    return f"(SELECT * FROM unnest({lists}) AS pair (user_id, id))"


@compiles(_Pairs, "sqlite")
def _pairs_on_sqlite(element: _Pairs, compiler: SQLCompiler, **options: Any) -> str:
    # Materialized, or one list would be read again for each element of the other.
    owners, ids = (
        f"AS MATERIALIZED (SELECT * FROM json_each({compiler.process(clause, **options)}))"
        for clause in element.clauses
    )
    selected = "SELECT owners.value AS user_id, ids.value AS id FROM owners JOIN ids USING (key)"
    return f"(WITH owners {owners}, ids {ids} {selected})"


def owned_ids(owners: str, ids: str, name: str) -> TableValuedAlias:
    """Return a table of owners and ids, made of two list parameters of a prepared statement."""
    pairs = _Pairs(text_list_param(owners), id_list_param(ids))
    return pairs.table_valued(column("user_id", UserId), column("id", Id), name=name)
