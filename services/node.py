"""Anything of a user's by its id."""

from collections import namedtuple
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from typing import Any, Final, NamedTuple, TypeAlias

from sqlalchemy import ColumnElement, FromClause, and_, select
from sqlmodel import SQLModel

from core.gathered import GatheredReads, Gathering
from core.ids import parse_id
from core.prepared import Prepared
from services.accounts.caller import Caller
from services.pairs import owned_ids
from services.sql import columns_of, table_of

_OWNERS: Final = "owners"
_IDS: Final = "ids"

# The models that are looked for, and what is read of each.
Wanted: TypeAlias = tuple[tuple[type[SQLModel], frozenset[str]], ...]


async def find_node(reads: GatheredReads, caller: Caller, wanted: Wanted, given_id: str) -> Any:
    """Return the caller's row of an id, with the name of its model as `type_name`; None where there is none."""
    row_id = parse_id(given_id)
    if row_id is None:
        return None
    nodes = _nodes(wanted)
    row = await reads.find(nodes.gathering, (caller.user_id, row_id))
    return None if row is None else nodes.node_in(row)


class _Part(NamedTuple):
    """Where a model's columns are in a row of the statement."""

    begin: int
    end: int
    type_name: str
    make: Callable[[Iterable[Any]], Any]


class _Nodes:
    """Finds rows of several models by one statement, which looks for each key in all of their tables."""

    def __init__(self, wanted: Wanted) -> None:
        asked = owned_ids(_OWNERS, _IDS, "asked")
        source: FromClause = asked
        columns: list[ColumnElement[Any]] = [asked.c.user_id, asked.c.id]
        self._parts: list[_Part] = []
        for model, names in wanted:
            table = table_of(model)
            source = source.outerjoin(table, and_(table.c.user_id == asked.c.user_id, table.c.id == asked.c.id))
            own = [table.c.id, *columns_of(table, names - {"id"})]
            self._parts.append(_Part(len(columns), len(columns) + len(own), model.__name__, _row_maker(own)))
            columns += [column.label(f"{table.name}_{column.key}") for column in own]
        self.gathering = Gathering(Prepared(select(*columns).select_from(source)), _OWNERS, _IDS)

    def node_in(self, row: Any) -> Any:
        """Return the part of a row that is there."""
        for begin, end, type_name, make in self._parts:
            if row[begin] is not None:
                return make((*row[begin:end], type_name))
        return None


def _row_maker(columns: Iterable[ColumnElement[Any]]) -> Callable[[Iterable[Any]], Any]:
    names = [str(column.key) for column in columns] + ["type_name"]
    row: Any = namedtuple("Row", names)  # type: ignore[misc] # noqa: PYI024 - its names are known here alone
    return partial(tuple.__new__, row)


@lru_cache(maxsize=256)
def _nodes(wanted: Wanted) -> _Nodes:
    return _Nodes(wanted)
