"""The rules that all entities share, on two that are there for these tests alone: folders, and notes that have one."""

from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, Any, ClassVar

import pytest
from sqlalchemy import MetaData, select
from sqlmodel import Field, SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from core.database import Database
from core.errors import BadUserInputError, ConflictError, NotFoundError
from core.ids import new_id
from core.settings import Settings
from models import ENTITIES, HistoryAction, HistoryEntry, User
from models.base import Editable, complete_table
from models.columns import References, Writable
from models.types import Id
from services.accounts.caller import Caller
from services.entities import service, tombstones
from services.entities.service import EntityService, NewRow
from services.entities.values import sent_values
from services.query.sql import fetch_all, table_of
from services.tasks.tasks import tasks as task_service
from tests.databases import opened
from tests.factories import SignedIn, make_task, new_task, sign_in
from tests.state import state_of

METADATA = MetaData()


class Folder(Editable, table=True):
    __tablename__ = "folders"
    metadata = METADATA

    name: Annotated[str, Writable()] = Field(min_length=1, max_length=50, description="What it says.")


class Note(Editable, table=True):
    __tablename__ = "notes"
    metadata = METADATA

    text: Annotated[str, Writable()] = Field(default="", max_length=50, description="What it says.")
    folder_id: Annotated[str | None, Writable(), References("folders")] = Field(
        default=None, sa_type=Id, description="Its folder."
    )
    parent_id: Annotated[str | None, Writable(), References("notes", cascades=True)] = Field(
        default=None, sa_type=Id, description="What it is a part of."
    )

    has_history: ClassVar[bool] = True


table_of(User).to_metadata(METADATA)
for model in (Folder, Note):
    complete_table(model)
folders, notes = EntityService(Folder), EntityService(Note)


@pytest.fixture
async def shelf(fresh_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    """Give a database that has folders and notes too."""
    for module in (service, tombstones):
        monkeypatch.setattr(module, "ENTITIES", (*ENTITIES, Folder, Note))
    for model in (Folder, Note):
        monkeypatch.setitem(service._ENTITIES_BY_TABLE, table_of(model).name, model)  # noqa: SLF001 - no other way
    async with opened(fresh_settings) as database:
        tables = [table_of(Folder), table_of(Note)]

        async def create(session: AsyncSession) -> None:
            await (await session.connection()).run_sync(partial(METADATA.create_all, tables=tables))

        await database.write(create)
        yield database


@pytest.fixture
async def owner(shelf: Database, fresh_settings: Settings) -> SignedIn:
    return await sign_in(shelf, fresh_settings)


@pytest.fixture
async def other(shelf: Database, fresh_settings: Settings) -> Caller:
    return (await sign_in(shelf, fresh_settings)).caller


async def create(database: Database, caller: Caller, of: EntityService[Any], **values: Any) -> Any:
    row_id = values.pop("id", None)
    return await database.write(partial(of.create, caller=caller, new=NewRow(values, row_id)))


async def rows_of(database: Database, model: Any, user_id: str) -> dict[str, Any]:
    table = table_of(model)
    async with database.read() as session:
        return {row.id: row for row in await fetch_all(session, select(table).where(table.c.user_id == user_id))}


async def test_deletion_clears_references_and_records_it(shelf: Database, owner: SignedIn, other: Caller) -> None:
    caller = owner.caller
    folder = await create(shelf, caller, folders, name="home")
    await create(shelf, other, folders, name="home", id=folder.id)
    noted = await create(shelf, caller, notes, folder_id=folder.id)
    bare = await create(shelf, caller, notes)
    theirs = await create(shelf, other, notes, folder_id=folder.id)
    assert await shelf.write(partial(folders.delete, caller=caller, row_id=folder.id)) == [folder.id]
    rows = await rows_of(shelf, Note, caller.user_id)
    assert (rows[noted.id].folder_id, rows[noted.id].revision) == (None, 4)
    assert (rows[bare.id].revision, (await rows_of(shelf, Note, other.user_id))[theirs.id].folder_id) == (3, folder.id)
    deletion = (await state_of(shelf, caller.user_id)).deletions[folder.id]
    assert (deletion.kind, deletion.revision) == ("FOLDER", 4)
    (entry,) = [row for row in (await rows_of(shelf, HistoryEntry, caller.user_id)).values() if row.revision == 4]
    assert (entry.entity, entry.row_id, entry.kind) == ("NOTE", noted.id, HistoryAction.UPDATED)
    assert (entry.before, entry.after) == ({"folder_id": folder.id}, {"folder_id": None})


async def test_deletion_takes_along_what_refers_to_the_row_and_cascades(shelf: Database, owner: SignedIn) -> None:
    folder = await create(shelf, owner.caller, folders, name="home")
    parent = await create(shelf, owner.caller, notes, folder_id=folder.id)
    child = await create(shelf, owner.caller, notes, parent_id=parent.id)
    leaf = await create(shelf, owner.caller, notes, parent_id=child.id.upper())
    await create(shelf, owner.caller, notes)
    deleted = await shelf.write(partial(notes.delete, caller=owner.caller, row_id=parent.id))
    assert deleted == [parent.id, *sorted([child.id, leaf.id])]
    state = await state_of(shelf, owner.user.id)
    assert {row_id: row.kind for row_id, row in state.deletions.items()} == dict.fromkeys(deleted, "NOTE")
    history = (await rows_of(shelf, HistoryEntry, owner.user.id)).values()
    before = {row.row_id: row.before for row in history if row.kind is HistoryAction.DELETED}
    assert before.keys() == set(deleted)
    assert before[parent.id]["folder_id"] == folder.id


@pytest.mark.parametrize(("column", "path"), [("folder_id", "folderId"), ("parent_id", "parentId")])
async def test_foreign_reference_is_refused(
    shelf: Database, owner: SignedIn, other: Caller, column: str, path: str
) -> None:
    folder = await create(shelf, other, folders, name="x")
    theirs = folder if column == "folder_id" else await create(shelf, other, notes)
    note = await create(shelf, owner.caller, notes)
    for changes in ({column: tried} for tried in (theirs.id, new_id(), "nothing", "\0")):
        for work in (
            partial(notes.create, new=NewRow(changes)),
            partial(notes.update, row_id=note.id, changes=changes),
            partial(notes.update_many, row_ids=[note.id], changes=changes),
        ):
            with pytest.raises(NotFoundError) as refusal:
                await shelf.write(partial(work, caller=owner.caller))
            assert refusal.value.path == ("input", path)
    assert list(await rows_of(shelf, Note, owner.user.id)) == [note.id]


async def test_rows_made_together_refer_to_those_before_them_alone(shelf: Database, owner: SignedIn) -> None:
    first, second, third, fourth = (new_id() for _ in range(4))
    create_many = partial(notes.create_many, caller=owner.caller)
    await shelf.write(partial(create_many, new=[NewRow({}, first), NewRow({"parent_id": first.upper()}, second)]))
    assert (await rows_of(shelf, Note, owner.user.id))[second].parent_id == first
    for parent in (third, fourth):
        with pytest.raises(NotFoundError) as refusal:
            await shelf.write(partial(create_many, new=[NewRow({"parent_id": parent}, third), NewRow({}, fourth)]))
        assert refusal.value.path == ("input", "notes", "0", "parentId")


async def test_bulk_operations_are_bounded_and_take_no_keys_of_single_rows(shelf: Database, owner: SignedIn) -> None:
    ids, keyed = ["x"] * 101, [NewRow({}, idempotency_key="key")]
    for work, name in (
        (partial(notes.create_many, new=[NewRow({})] * 101), "notes"),
        (partial(notes.update_many, row_ids=ids, changes={}), "ids"),
        (partial(notes.delete_many, row_ids=ids), "ids"),
    ):
        with pytest.raises(BadUserInputError, match=f"{name} takes at most 100 at once; it has 101") as refusal:
            await shelf.write(partial(work, caller=owner.caller))
        assert refusal.value.path == ("input", name)
    with pytest.raises(BadUserInputError, match="Notes made together have one idempotencyKey"):
        await shelf.write(partial(notes.create_many, caller=owner.caller, new=keyed))
    assert (await state_of(shelf, owner.user.id)).revision == 0


class LaterFolder(SQLModel):
    """Folders as of a later version, with columns more."""

    name: Annotated[str, Writable()] = Field(min_length=1, max_length=50, description="What it says.")
    is_pinned: Annotated[bool, Writable()] = Field(default=False, description="Whether it stays on top.")
    colour: Annotated[str | None, Writable()] = Field(default=None, max_length=9, description="Its colour.")
    order: Annotated[int, Writable()] = Field(default_factory=int, ge=0, le=9, description="Its place.")


def test_column_that_is_added_later_changes_nothing_of_what_was_sent() -> None:
    sent = {"name": "home"}
    assert sent_values(Folder, sent) == sent_values(LaterFolder, sent) == sent
    assert sent_values(LaterFolder, sent | {"is_pinned": False, "colour": None, "order": 0}) == sent
    assert sent_values(LaterFolder, sent | {"is_pinned": True}) == sent | {"is_pinned": True}


async def test_request_that_differs_only_in_defaults_is_the_same(database: Database, user: SignedIn) -> None:
    create = partial(task_service.create, caller=user.caller)
    first = await database.write(partial(create, new=new_task("x", idempotency_key="key")))
    defaults: dict[str, Any] = {"description": None, "tags": [], "priority": first.priority, "parent_id": None}
    again = await database.write(partial(create, new=new_task("x", idempotency_key="key", **defaults)))
    assert (again.id, again.revision) == (first.id, 1)
    for other in ({"description": ""}, {"tags": ["a"]}, {"id": first.id}):
        with pytest.raises(ConflictError, match="used for another request"):
            await database.write(partial(create, new=new_task("x", idempotency_key="key", **other)))


@pytest.mark.parametrize("is_first", [False, True])
async def test_update_that_changes_nothing_has_no_revision(database: Database, user: SignedIn, is_first: bool) -> None:
    changed, same = [await make_task(database, user.caller) for _ in range(2)]
    before = await state_of(database, user.user.id)
    update_same = partial(task_service.update, caller=user.caller, row_id=same.id, changes={"title": same.title})
    assert (await database.write(update_same)).revision == 2
    assert await state_of(database, user.user.id) == before

    async def work(session: AsyncSession) -> None:
        if is_first:
            await update_same(session)
        await task_service.update(session, user.caller, changed.id, {"title": "New"})
        if not is_first:
            await update_same(session)

    await database.write(work)
    state = await state_of(database, user.user.id)
    assert (state.rows[changed.id].title, state.rows[changed.id].revision) == ("New", 3)
    assert (state.rows[same.id].revision, state.revision) == (2, 3)
