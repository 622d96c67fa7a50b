"""What changed for the caller after a cursor, as GraphQL shows it."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, TypeAlias

import strawberry

import models
from graph.context import Info
from graph.conversation import Conversation
from graph.mapping import Node, TypedRow, enum_type
from graph.message import Message
from graph.run import Run, ToolCall
from graph.selection import selected_columns
from graph.task import Task
from graph.user import User
from services.accounts.users import users_by_id
from services.query.lookup import rows_by_id
from services.query.pagination import MAX_CHANGES, MAX_PAGE_SIZE
from services.sync.changes import MODELS, Changes, EntityKind
from services.sync.changes import Change as ChangedRow

enum_type(EntityKind)
ChangesFirst: TypeAlias = Annotated[
    int | None,
    strawberry.argument(
        description=f"How many rows at once, changed and deleted together: 1 to {MAX_CHANGES:,}, {MAX_PAGE_SIZE} where "
        "it is left out."
    ),
]
ChangesTypes: TypeAlias = Annotated[
    list[EntityKind] | None,
    strawberry.argument(
        description="Only what is of these types; all where it is left out. A cursor that comes of it serves the same "
        "types, or fewer of them."
    ),
]
Change: TypeAlias = Annotated[
    Task | Conversation | Message | Run | ToolCall | User,
    strawberry.union("Change", description="What was made or changed."),
]


@strawberry.type(description="A row that is gone.")
class DeletedRow:
    id: strawberry.ID = strawberry.field(description="Its id.")
    type: EntityKind = strawberry.field(description="What it was.")


@strawberry.type(description="What changed for the caller after a cursor, each row once with its latest state.")
class ChangeSet:
    changed: list[Node] = strawberry.field(description="What was made or changed, in the order of the changes.")
    entries: list[Change] = strawberry.field(description="The same as changed, as a union.")
    deleted_ids: list[strawberry.ID] = strawberry.field(description="What is gone.")
    deleted: list[DeletedRow] = strawberry.field(description="The same as deletedIds, with what each was.")
    cursor: str = strawberry.field(description="Pass it as since to read on from here, now or after a cut.")
    has_more: bool = strawberry.field(description="Whether there is more to read right away.")


async def load_changes(info: Info, changes: Changes) -> ChangeSet:
    """Load what a page of changes names, with the columns that are selected, by one statement for each kind."""
    loaded: dict[ChangedRow, TypedRow] = {}
    by_kind: dict[EntityKind, list[ChangedRow]] = {}
    for entry in changes.entries:
        if not entry.is_deleted:
            by_kind.setdefault(entry.kind, []).append(entry)
    for kind, entries in by_kind.items():
        loaded |= await _load_kind(info, kind, entries)
    changed: Any = [loaded[entry] for entry in changes.entries if entry in loaded]
    deleted = [DeletedRow(id=strawberry.ID(entry.id), type=entry.kind) for entry in changes.entries if entry.is_deleted]
    return ChangeSet(
        changed=changed,
        entries=changed,
        deleted_ids=[row.id for row in deleted],
        deleted=deleted,
        cursor=changes.cursor.write(),
        # A row that was changed meanwhile is there to be read right away.
        has_more=changes.has_more or len(changed) + len(deleted) < len(changes.entries),
    )


async def _load_kind(info: Info, kind: EntityKind, entries: Sequence[ChangedRow]) -> dict[ChangedRow, TypedRow]:
    """Load rows of one kind; one that was changed or deleted meanwhile comes again, at its new place."""
    caller, model = info.context.require_caller(), MODELS[kind]
    stamp = "profile_revision" if model is models.User else "revision"
    columns = selected_columns(info, model, "changed") | selected_columns(info, model, "entries") | {stamp}
    ids = [entry.id for entry in entries]
    reader = info.context.database.reader
    if model is models.User:
        read = partial(users_by_id, reader, caller, ids, columns)
    else:
        read = partial(rows_by_id, reader, caller, model, ids, columns)
    # All that follow the user's changes have been woken for this one, and ask for it together.
    rows = await info.context.runtime.live.shared_reads.read((caller.user_id, model, *ids, columns), read)
    return {
        entry: TypedRow(model.__name__, row)
        for entry, row in zip(entries, rows, strict=True)
        if row is not None and getattr(row, stamp) == entry.revision
    }
