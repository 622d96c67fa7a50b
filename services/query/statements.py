"""Statements of pages and counts; each is built and compiled once for its statement key."""

from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Integer,
    Select,
    Table,
    and_,
    bindparam,
    column,
    func,
    select,
    true,
)

from core.prepared_statement import cached_statement
from models.types import Id
from services.accounts.caller import owned
from services.query.filters import FilterTemplate, IsAnyOf, id_list_param
from services.query.ordering import NullMask, Order
from services.query.sql import columns_of

# The names of the parameters; those of the two cursors are followed by the number of the key.
LIMIT: Final = "limit"
PARENTS: Final = "parents"
AFTER: Final = "after"
BEFORE: Final = "before"

# The first column of the pages of several parents: which parent it is, counted from one.
_PARENT_NUMBER: Final = "parent_number"


class StatementKey(NamedTuple):
    """All that the SQL of a list depends on; everything else is a value of a parameter."""

    table: Table
    order: Order
    columns: frozenset[str]
    template: FilterTemplate
    is_owned: bool
    backwards: bool
    after: NullMask | None
    before: NullMask | None

    @property
    def where(self) -> tuple[ColumnElement[bool], ...]:
        """Return every condition, the owner's first."""
        conditions = self.template.build(self.template.key)
        return (owned(self.table), *conditions) if self.is_owned else conditions

    def selected(self, source: FromClause) -> list[ColumnElement[Any]]:
        """Return the selected columns and those that a cursor needs, in the table's order."""
        return columns_of(source, self.columns.union(self.order.columns))


@cached_statement
def page_statement(key: StatementKey) -> Select[Any]:
    """Return the statement of one page."""
    return _limit_to_window(select(*key.selected(key.table)), key)


@cached_statement
def count_statement(key: StatementKey) -> Select[Any]:
    """Return the statement that counts a whole list."""
    return select(func.count().label("count")).select_from(key.table).where(*key.where)


@cached_statement
def counts_statement(key: StatementKey, parent: str) -> Select[Any]:
    """Return the statement that counts the list of each of several parents."""
    parent_id = key.table.c[parent]
    conditions = (*key.where, IsAnyOf(parent_id, id_list_param(PARENTS)))
    return select(parent_id, func.count().label("count")).where(*conditions).group_by(parent_id)


@cached_statement
def pages_on_postgresql(key: StatementKey, parent: str) -> Select[Any]:
    """Return the statement of a page of each of several parents: a lateral join."""
    ids = func.unnest(id_list_param(PARENTS))
    parents = ids.table_valued(column("id", Id), with_ordinality="number", name="parents").render_derived()
    inner = select(*key.selected(key.table)).where(key.table.c[parent] == parents.c.id)
    page = _limit_to_window(inner, key).lateral("page")
    return select(parents.c.number.label(_PARENT_NUMBER), *page.c).select_from(parents.join(page, true()))


@cached_statement
def pages_on_sqlite(key: StatementKey, parent: str) -> Select[Any]:
    """Return that statement without a lateral join: a correlated subquery names the rows of each page."""
    ids = func.json_each(id_list_param(PARENTS))
    parents = ids.table_valued(column("key", Integer()), "value", name="parents")
    inner = select(key.table.c.id).where(key.table.c[parent] == parents.c.value)
    page_ids = _limit_to_window(inner, key).correlate(parents)
    rows = key.table.alias("page")
    is_on_page: ColumnElement[bool] = rows.c.id.in_(page_ids)
    if key.is_owned:
        is_on_page = and_(owned(rows), is_on_page)
    ordered = key.order.clauses(rows.c, backwards=key.backwards)
    statement = select((parents.c.key + 1).label(_PARENT_NUMBER), *key.selected(rows)).select_from(parents)
    return statement.join(rows, is_on_page).order_by(parents.c.key, *ordered)


def _limit_to_window(statement: Select[Any], key: StatementKey) -> Select[Any]:
    """Limit a statement to a window and one row more, which shows whether the list goes on."""
    columns, order = key.table.c, key.order
    statement = statement.where(*key.where)
    if key.after is not None:
        statement = statement.where(order.keyset_condition(columns, key.after, AFTER, backwards=False))
    if key.before is not None:
        statement = statement.where(order.keyset_condition(columns, key.before, BEFORE, backwards=True))
    limit = bindparam(LIMIT, type_=Integer())
    return statement.order_by(*order.clauses(columns, backwards=key.backwards)).limit(limit)
