"""Refusal of new rows beyond the user's quota."""

from typing import Any, Final

from sqlalchemy import Integer, Select, bindparam, func, literal_column, select
from sqlmodel import SQLModel

from core.errors import QuotaExceededError
from core.prepared_statement import cached_statement
from core.quotas import QUOTAS, Quotas
from models.base import noun_of
from services.accounts.caller import OWNER, Caller, owned
from services.query.sql import Writer, read, table_of

_LIMIT: Final = "quota"


def quotas_of(writer: Writer) -> Quotas:
    """Return the quotas that a transaction is bound by."""
    quotas: Quotas = writer.info[QUOTAS]
    return quotas


async def require_quota(
    writer: Writer, caller: Caller, model: type[SQLModel], revision: int, new_rows: int = 1
) -> None:
    """Raise QuotaExceededError where the caller would have too many rows; the revision is that of this transaction."""
    quotas, table, before = quotas_of(writer), table_of(model).name, revision - 1
    if before <= quotas.max_revision(caller.user_id, table, new_rows):
        return
    quota, last = quotas.of(table), quotas.counted.get((caller.user_id, table))
    if last is None or last[0] != before:
        (counted,) = await read(writer, _count(model), {OWNER: caller.user_id, _LIMIT: quota})
        quotas.keep_count(caller.user_id, table, before, counted.rows)
        if counted.rows + new_rows <= quota:
            return
    raise QuotaExceededError(
        f"There is room for {quota:,} {noun_of(model)}s, and these would be more; delete some first."
    )


@cached_statement
def _count(model: type[SQLModel]) -> Select[Any]:
    """Return the statement that counts the rows, up to the quota."""
    table = table_of(model)
    rows: Select[Any] = select(literal_column("1")).select_from(table).where(owned(table))
    return select(func.count().label("rows")).select_from(rows.limit(bindparam(_LIMIT, type_=Integer())).subquery())
