"""What changed for the caller after a cursor, as GraphQL shows it."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import strawberry

import models
from graph.context import Info
from graph.mapping import Node, TypedRow
from graph.selection import selected_columns
from services.accounts.users import users_by_id
from services.query.lookup import rows_by_id
from services.sync.changes import DELETION, MODELS, Change, Changes


@strawberry.type(description="What changed for the caller after a cursor, each row once with its latest state.")
class ChangeSet:
    changed: list[Node] = strawberry.field(description="What was made or changed, in the order of the changes.")
    deleted_ids: list[strawberry.ID] = strawberry.field(description="What is gone.")
    cursor: str = strawberry.field(description="Pass it as since to read on from here, now or after a cut.")
    has_more: bool = strawberry.field(description="Whether there is more to read right away.")


async def load_changes(info: Info, changes: Changes) -> ChangeSet:
    """Load what a page of changes names, with the columns that are selected, by one statement for each kind."""
    loaded: dict[Change, TypedRow] = {}
    for kind in dict.fromkeys(entry.kind for entry in changes.entries if entry.kind in MODELS):
        loaded |= await _load_kind(info, kind, [entry for entry in changes.entries if entry.kind == kind])
    changed: Any = [loaded[entry] for entry in changes.entries if entry in loaded]
    deleted_ids = [strawberry.ID(entry.id) for entry in changes.entries if entry.kind == DELETION]
    # A row that was changed meanwhile is there to be read right away.
    has_more = changes.has_more or len(changed) + len(deleted_ids) < len(changes.entries)
    return ChangeSet(changed=changed, deleted_ids=deleted_ids, cursor=changes.cursor.write(), has_more=has_more)


async def _load_kind(info: Info, kind: str, entries: Sequence[Change]) -> dict[Change, TypedRow]:
    """Load rows of one kind; one that was changed or deleted meanwhile comes again, at its new place."""
    caller, model = info.context.require_caller(), MODELS[kind]
    stamp = "profile_revision" if model is models.User else "revision"
    columns = selected_columns(info, model, "changed") | {stamp}
    ids = [entry.id for entry in entries]
    reader = info.context.database.reader
    if model is models.User:
        read = partial(users_by_id, reader, caller, ids, columns)
    else:
        read = partial(rows_by_id, reader, caller, model, ids, columns)
    # All that follow the user's changes have been woken for this one, and ask for it together.
    rows = await info.context.runtime.live.shared_reads.read((caller.user_id, model, *ids, columns), read)
    return {
        entry: TypedRow(kind, row)
        for entry, row in zip(entries, rows, strict=True)
        if row is not None and getattr(row, stamp) == entry.revision
    }
