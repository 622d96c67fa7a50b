"""Create, update and delete the caller's rows of one model, by the rules that all entities share."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from types import SimpleNamespace
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import delete, select
from sqlmodel import select as select_model
from sqlmodel.ext.asyncio.session import AsyncSession

from core.clock import utc_now
from core.database import Database
from core.errors import BadUserInputError, check_all, check_each
from core.ids import new_id, parse_id
from core.quotas import MAX_NEW_ROWS
from core.transaction import keep_changes, leave_unchanged
from models import ENTITIES
from models.base import Editable, Entity
from models.columns import Column, columns_of, creatable_columns, updatable_columns
from services.accounts.caller import Caller
from services.entities.history import creation_of, deletion_of, record, update_of
from services.entities.idempotency import IdempotentRequest, run_idempotent
from services.entities.quotas import require_quota
from services.entities.revision import check_revision, next_revision
from services.entities.single_statement import can_insert_alone, insert_alone
from services.entities.tombstones import allocate_ids, check_new_id, insert_tombstones, references_to
from services.entities.values import INPUT, Path, Values, check_new_values, check_values, sent_values
from services.query.filters import IsAnyOf, id_list
from services.query.lookup import not_found, require, require_all, rows_by_id
from services.query.sql import Source, Writer, execute, fetch_all, insert_rows, table_of

Row = TypeVar("Row", bound=Editable)

_ENTITIES_BY_TABLE: Final = {table_of(entity).name: entity for entity in ENTITIES}


@dataclass(frozen=True, slots=True)
class NewRow:
    """What a client sends to create a row: the values by column, its own id for the row, and an idempotency key."""

    values: Mapping[str, Any]
    id: str | None = None
    idempotency_key: str | None = None

    def request(self, model: type[Entity]) -> Values:
        """Return what was sent, for the idempotency key to be compared by."""
        return sent_values(model, self.values) | ({} if self.id is None else {"id": self.id})


class EntityService(Generic[Row]):
    """The shared rules; the service of a model with rules of its own overrides `derive` and `check_update`."""

    def __init__(self, model: type[Row]) -> None:
        self.model = model
        # As payloads and routes call a row.
        self.name = model.__name__.lower()
        self._table = table_of(model)
        # Of the columns that clients cannot set when they create a row.
        self._defaults: Values = {
            column.name: column.default
            for column in columns_of(model).values()
            if not column.is_required and column.default_factory is None
        }
        self._new_references = [column for column in creatable_columns(model) if column.references]
        self._references = [column for column in updatable_columns(model) if column.references]

    def derive(self, values: Values, row: Row | None) -> Values:  # noqa: ARG002 - for those that override it
        """Return values with those of the columns that are computed from them; `row` is None for a new one."""
        return values

    async def check_update(self, session: AsyncSession, caller: Caller, row: Row, values: Values) -> None:
        """Refuse an update by the model's own rules."""

    async def create_alone(self, database: Database, caller: Caller, new: NewRow) -> Any:
        """Create a row in a transaction of its own, by one statement where it depends on nothing that is stored."""
        refers = any(new.values.get(column.name) is not None for column in self._new_references)
        is_independent = new.id is None and new.idempotency_key is None and not refers
        if is_independent and can_insert_alone(database):
            values = self._defaults | {"id": new_id()} | self.derive(check_new_values(self.model, new.values), None)
            if (inserted := await insert_alone(database, caller, self.model, values)) is not None:
                return SimpleNamespace(**inserted)
        return await database.transaction(lambda transaction: self.create(transaction, caller, new))

    async def create(self, writer: Writer, caller: Caller, new: NewRow) -> Any:
        """Create a row."""
        operation = f"create{self.model.__name__}"
        request = IdempotentRequest(new.idempotency_key, operation, new.request(self.model))
        return (await self._create(writer, caller, [(new, INPUT)], request))[0]

    async def create_many(
        self, writer: Writer, caller: Caller, new: Sequence[NewRow], idempotency_key: str | None = None
    ) -> Sequence[Any]:
        """Create several rows, all or none."""
        name = f"{self.name}s"
        _require_bulk(len(new), name)
        given = [(row, (*INPUT, name, str(index))) for index, row in enumerate(new)]
        for row, path in given:
            if row.idempotency_key is not None:
                message = (
                    f"{name.capitalize()} made together have one idempotencyKey, beside the {name}; leave it out here."
                )
                raise BadUserInputError(message, path=(*path, "idempotencyKey"))
        if not new:
            return []
        operation, content = f"create{self.model.__name__}s", [row.request(self.model) for row in new]
        return await self._create(writer, caller, given, IdempotentRequest(idempotency_key, operation, content))

    async def update(
        self,
        session: AsyncSession,
        caller: Caller,
        row_id: str,
        changes: Mapping[str, Any],
        expected_revision: int | None = None,
    ) -> Row:
        """Change what is given of a row: what is absent stays, None clears."""
        return await self.change(session, caller, row_id, lambda _row: changes, expected_revision)

    async def change(
        self,
        session: AsyncSession,
        caller: Caller,
        row_id: str,
        changes_of: Callable[[Row], Mapping[str, Any]],
        expected_revision: int | None = None,
    ) -> Row:
        """Change a row by what `changes_of` returns for it."""
        revision = await next_revision(session, caller.user_id)
        row = await require(session, caller, self.model, row_id, (*INPUT, "id"))
        check_revision(row, expected_revision)
        values = check_values(self.model, changes_of(row))
        await self._require_referenced(session, caller, [(values, INPUT)], self._references)
        await self.check_update(session, caller, row, values)
        await self.apply(session, caller, [(row, self.derive(values, row))], revision)
        return row

    async def update_many(
        self, session: AsyncSession, caller: Caller, row_ids: Sequence[str], changes: Mapping[str, Any]
    ) -> list[Row]:
        """Change several rows alike, all or none."""
        _require_bulk(len(row_ids), "ids")
        revision = await next_revision(session, caller.user_id)
        rows = await require_all(session, caller, self.model, row_ids, (*INPUT, "ids"))
        values = check_values(self.model, changes)
        await self._require_referenced(session, caller, [(values, INPUT)], self._references)
        for row in rows:
            await self.check_update(session, caller, row, values)
        await self.apply(session, caller, [(row, self.derive(dict(values), row)) for row in rows], revision)
        return rows

    async def delete(
        self, session: AsyncSession, caller: Caller, row_id: str, expected_revision: int | None = None
    ) -> list[str]:
        """Delete a row and all that belongs to it; return their ids, its own first."""
        revision = await next_revision(session, caller.user_id)
        row = await require(session, caller, self.model, row_id, (*INPUT, "id"))
        check_revision(row, expected_revision)
        return await self.remove(session, caller, [row.id], revision)

    async def delete_many(self, session: AsyncSession, caller: Caller, row_ids: Sequence[str]) -> list[str]:
        """Delete several rows and all that belongs to them, all or none; return their ids."""
        _require_bulk(len(row_ids), "ids")
        revision = await next_revision(session, caller.user_id)
        rows = await require_all(session, caller, self.model, row_ids, (*INPUT, "ids"))
        if not rows:
            leave_unchanged(session)
            return []
        return await self.remove(session, caller, [row.id for row in rows], revision)

    async def _create(
        self, writer: Writer, caller: Caller, new: Sequence[tuple[NewRow, Path]], request: IdempotentRequest
    ) -> Sequence[Any]:
        revision = await next_revision(writer, caller.user_id)

        async def insert() -> Sequence[Any]:
            checked = check_each(self._check_new, new)
            ids = await allocate_ids(writer, caller, [(row_id, (*path, "id")) for row_id, _, path in checked])
            given = [(values, path) for _, values, path in checked]
            await self._require_referenced(writer, caller, given, self._new_references, ids)
            moment = utc_now()
            created = [
                {"id": row_id, "created_at": moment} | self.derive(values, None)
                for row_id, (values, _) in zip(ids, given, strict=True)
            ]
            return await self.insert(writer, caller, created, revision, moment)

        return await run_idempotent(writer, caller, request, self.model, insert)

    def _check_new(self, new: NewRow, path: Path) -> tuple[str | None, Values, Path]:
        """Return the id and the values of a new row, and its path; raise BadUserInputError for all that are wrong."""
        row_id, values = check_all(
            partial(check_new_id, new.id, (*path, "id")), partial(check_new_values, self.model, new.values, path)
        )
        return row_id, values, path

    async def _require_referenced(
        self,
        source: Source,
        caller: Caller,
        given: Sequence[tuple[Values, Path]],
        columns: Sequence[Column],
        new_ids: Sequence[str] = (),
    ) -> None:
        """Raise NotFoundError for a reference to no row of the caller's; a new row may refer to an earlier new one."""
        places = {row_id: index for index, row_id in enumerate(new_ids)}
        for column in columns:
            target = _ENTITIES_BY_TABLE[column.references.table if column.references else ""]
            own_places = places if target is self.model else {}
            wanted = {row_id for values, _ in given if (row_id := values.get(column.name)) is not None}
            stored = sorted(row_id for row_id in wanted - own_places.keys() if parse_id(row_id))
            rows = await rows_by_id(source, caller, target, stored, ()) if stored else []
            known = {row.id for row in rows if row is not None}
            for index, (values, path) in enumerate(given):
                row_id = values.get(column.name)
                if row_id is not None and row_id not in known and own_places.get(row_id, index) >= index:
                    raise not_found(target, (*path, column.api_name))

    async def clear_missing_references(self, session: AsyncSession, caller: Caller, given: Sequence[Values]) -> None:
        """Clear references to rows that do not exist any more, in values of the history."""
        for column in self._references:
            if column.references is None or column.references.cascades:
                continue
            wanted = sorted({row_id for values in given if (row_id := values.get(column.name)) is not None})
            target = _ENTITIES_BY_TABLE[column.references.table]
            rows = await rows_by_id(session, caller, target, wanted, ()) if wanted else []
            gone = {row_id for row_id, row in zip(wanted, rows, strict=True) if row is None}
            for values in given:
                if values.get(column.name) in gone:
                    values[column.name] = None

    async def insert(
        self, writer: Writer, caller: Caller, created: Sequence[Values], revision: int, moment: datetime
    ) -> list[Any]:
        """Insert new rows and return them; a row comes before those that refer to it."""
        await require_quota(writer, caller, self.model, revision, len(created))
        keep_changes(writer)
        stamps: Values = {"user_id": caller.user_id, "revision": revision, "updated_at": moment}
        values = [self._defaults | each | stamps for each in created]
        await insert_rows(writer, self.model, values)
        rows = [SimpleNamespace(**each) for each in values]
        if self.model.has_history:
            await record(writer, caller, [creation_of(self.model, row) for row in rows], revision, moment)
        return rows

    async def apply(
        self,
        session: AsyncSession,
        caller: Caller,
        changed: Sequence[tuple[Row, Values]],
        revision: int,
        moment: datetime | None = None,
    ) -> None:
        """Set the values that differ and stamp their rows; where none differs, nothing has changed."""
        touched = {
            row.id: (row, values)
            for row, values in changed
            if any(getattr(row, name) != value for name, value in values.items())
        }
        if not touched:
            leave_unchanged(session)
            return
        keep_changes(session)
        moment = moment_after([row for row, _ in touched.values()], moment)
        changes = [update_of(row, values) for row, values in touched.values()]
        for row, values in touched.values():
            for name, value in values.items():
                setattr(row, name, value)
            row.revision, row.updated_at = revision, moment
        await session.flush()
        if self.model.has_history:
            # A change of what is only derived from other columns is none that anybody made.
            await record(session, caller, [change for change in changes if change.after], revision, moment)

    async def remove(
        self, session: AsyncSession, caller: Caller, ids: Sequence[str], revision: int, moment: datetime | None = None
    ) -> list[str]:
        """Delete rows and all that belongs to them; return their ids, those that were named first."""
        keep_changes(session)
        deleted = await insert_tombstones(session, caller, self.model, ids, revision)
        latest = moment or utc_now()
        for entity in ENTITIES:
            own_ids = deleted.get(entity.entity_kind(), [])
            if own_ids:
                await _clear_references(session, caller, entity, own_ids, revision)
            if own_ids and entity.has_history:
                # Read by itself: of rows that go with others, SQLite's DELETE returns none.
                table = table_of(entity)
                is_gone = caller.owns(table), IsAnyOf(table.c.id, id_list(own_ids))
                rows = await fetch_all(session, select(table).where(*is_gone))
                latest = moment_after(rows, latest)
                await record(session, caller, [deletion_of(entity, row) for row in rows], revision, latest)
        # The foreign keys delete what belongs to them.
        named = IsAnyOf(self._table.c.id, id_list(ids))
        await execute(session, delete(self._table).where(caller.owns(self._table), named))
        return [*dict.fromkeys(ids), *sorted({row_id for each in deleted.values() for row_id in each} - set(ids))]


async def _clear_references(
    session: AsyncSession, caller: Caller, model: type[Entity], ids: Sequence[str], revision: int
) -> None:
    """Clear the columns that refer to deleted rows and do not cascade."""
    for entity, columns in references_to(model, cascades=False).items():
        if not issubclass(entity, Editable):
            continue
        table = table_of(entity)
        for column in columns:
            is_referring = caller.owns(table), IsAnyOf(table.c[column.name], id_list(ids))
            rows = (await session.exec(select_model(entity).where(*is_referring))).all()
            if rows:
                await EntityService(entity).apply(
                    session, caller, [(row, {column.name: None}) for row in rows], revision
                )


def moment_after(rows: Sequence[Any], moment: datetime | None) -> datetime:
    """Return a moment no earlier than the rows were changed by the clock of another server."""
    latest: datetime = max([moment or utc_now(), *(row.updated_at for row in rows)])
    return latest


def _require_bulk(count: int, name: str) -> None:
    if count > MAX_NEW_ROWS:
        raise BadUserInputError(f"{name} takes at most {MAX_NEW_ROWS} at once; it has {count}.", path=(*INPUT, name))
