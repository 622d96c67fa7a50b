"""Pairs as a table that a statement can read from, which each database makes of two lists in its own way."""

from typing import Any

from sqlalchemy import TableValuedAlias, column
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from models.types import Id, UserId
from services.expressions import ids_named, texts_named


class _Pairs(FunctionElement[Any]):
    """The pairs of two lists' elements."""

    inherit_cache = True


@compiles(_Pairs, "postgresql")
def _pairs(element: _Pairs, compiler: SQLCompiler, **options: Any) -> str:
    # Within selections of their own, or it would count the pairs each time and make a plan for just so many.
    lists = ", ".join(f"(SELECT {compiler.process(clause, **options)})" for clause in element.clauses)
    return f"(SELECT * FROM unnest({lists}) AS pair (user_id, id))"  # noqa: S608 - two parameters


@compiles(_Pairs, "sqlite")
def _pairs_on_sqlite(element: _Pairs, compiler: SQLCompiler, **options: Any) -> str:
    # Materialized, or one list would be read anew for each element of the other.
    owners, ids = (
        f"AS MATERIALIZED (SELECT * FROM json_each({compiler.process(clause, **options)}))"  # noqa: S608 - a parameter
        for clause in element.clauses
    )
    selected = "SELECT owners.value AS user_id, ids.value AS id FROM owners JOIN ids USING (key)"
    return f"(WITH owners {owners}, ids {ids} {selected})"


def owned_ids(owners: str, ids: str, name: str) -> TableValuedAlias:
    """Return the table of those owners and ids that two parameters of a prepared statement will be."""
    pairs = _Pairs(texts_named(owners), ids_named(ids))
    return pairs.table_valued(column("user_id", UserId), column("id", Id), name=name)
