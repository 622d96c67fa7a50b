"""What clients have observed of a user's tasks, and whether tasks that nothing is lost of could have shown it."""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

_ticks: Final = itertools.count()


class Kind(StrEnum):
    """What an operation does."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    READ = "read"


@dataclass(frozen=True, slots=True)
class Seen:
    """A task as an answer shows it; each write gives it a title that no other does."""

    title: str
    revision: int


@dataclass(slots=True)
class Operation:
    """An operation from when it was sent to when it was answered; without an answer it may be done or not."""

    kind: Kind
    task_id: str | None = None
    title: str | None = None
    expected_revision: int | None = None
    began: int = field(default_factory=lambda: next(_ticks))
    ended: int | None = None
    # It was answered, and has changed nothing.
    is_refused: bool = False
    revision: int | None = None
    seen: Seen | None = None

    def end(self, task_id: str | None, seen: Seen | None) -> None:
        """Note the answer of what was done."""
        self.task_id, self.seen, self.ended = task_id, seen, next(_ticks)
        self.revision = seen.revision if seen else None

    def refuse(self) -> None:
        """Note that it was answered, and not done."""
        self.is_refused, self.ended = True, next(_ticks)

    @property
    def is_write(self) -> bool:
        return self.kind is not Kind.READ and not self.is_refused

    def is_before(self, other: "Operation") -> bool:
        """Tell whether it was answered before the other was sent."""
        return self.ended is not None and self.ended < other.began


@dataclass(slots=True)
class Replica:
    """A client's copy of the tasks, made from pages of changes alone."""

    tasks: dict[str, Seen] = field(default_factory=dict)

    def apply(self, changed: Iterable[tuple[str, Seen]], deleted_ids: Iterable[str]) -> None:
        for task_id, seen in changed:
            known = self.tasks.get(task_id)
            assert known is None or known.revision <= seen.revision, f"{task_id} went back from {known} to {seen}"
            self.tasks[task_id] = seen
        for task_id in deleted_ids:
            self.tasks.pop(task_id, None)


def acknowledged(operations: Iterable[Operation]) -> list[Operation]:
    """Return the writes that were answered with success."""
    return [operation for operation in operations if operation.is_write and operation.ended is not None]


def check_replica(replica: Replica, operations: Iterable[Operation], asked_at: int) -> None:
    """Check that a copy that is up to date holds each write that was answered before it asked."""
    operations = list(operations)
    deleted_ids = {operation.task_id for operation in operations if operation.kind is Kind.DELETE}
    for write in acknowledged(operations):
        if write.ended is None or write.ended > asked_at or write.task_id is None:
            continue
        seen = replica.tasks.get(write.task_id)
        if write.kind is Kind.DELETE:
            assert seen is None, f"the copy has {write.task_id}, which is deleted"
        elif write.task_id not in deleted_ids:
            assert seen is not None, f"the copy misses {write}"
            assert write.revision is not None
            assert seen.revision >= write.revision, f"the copy has {seen} and misses {write}"


def check(operations: Iterable[Operation], rows: Mapping[str, Seen], deleted_ids: Iterable[str]) -> None:
    """Check what one user's clients have observed against what the database holds in the end."""
    operations = sorted(operations, key=lambda operation: operation.began)
    writes = acknowledged(operations)
    _check_order(writes)
    ever = set(rows) | set(deleted_ids)
    created = [operation for operation in operations if operation.kind is Kind.CREATE and not operation.is_refused]
    known_ids = {operation.task_id for operation in created if operation.ended is not None}
    assert known_ids <= ever, f"lost: {known_ids - ever}"
    assert len(ever) <= len(created), "something was created more than once"
    tasks: dict[str, list[Operation]] = {}
    for operation in operations:
        if operation.task_id is not None:
            tasks.setdefault(operation.task_id, []).append(operation)
    # A creation without an answer may have made any task that nobody else knows of.
    unknown = {operation.title for operation in created if operation.ended is None}
    for task_id, own in tasks.items():
        _check_expectations(own)
        for read in own:
            if read.kind is Kind.READ and read.ended is not None:
                _check_seen(read.seen, read, own)
        last = Operation(Kind.READ, task_id)
        last.end(task_id, rows.get(task_id))
        _check_seen(last.seen, last, own)
    for task_id in set(rows) - set(tasks):
        assert rows[task_id].title in unknown, f"nobody created {task_id}"


def _check_order(writes: list[Operation]) -> None:
    """Check that each write has a revision of its own, larger than those of all that were answered before."""
    counted = [write for write in writes if write.revision is not None]
    assert len({write.revision for write in counted}) == len(counted), "two writes have one revision"
    by_end = sorted(counted, key=lambda write: write.ended or 0)
    highest, position = 0, 0
    for write in counted:
        while position < len(by_end) and by_end[position].is_before(write):
            highest = max(highest, by_end[position].revision or 0)
            position += 1
        assert write.revision is not None
        assert write.revision > highest, f"{write} comes after {highest}, which was answered before it was sent"


def _check_expectations(own: list[Operation]) -> None:
    """Check that nothing was written between the revision that an update expected and its own."""
    revisions = {write.revision for write in acknowledged(own) if write.revision is not None}
    for write in acknowledged(own):
        if write.expected_revision is not None and write.revision is not None:
            between = {one for one in revisions if write.expected_revision < one < write.revision}
            assert not between, f"{write} has overwritten {between}"


def _check_seen(seen: Seen | None, read: Operation, own: list[Operation]) -> None:
    """Check that a task is as some write made it, and no older than what was answered before the read was sent."""
    writes = [operation for operation in own if operation.is_write]
    deletions = [write for write in writes if write.kind is Kind.DELETE and (read.ended or 0) > write.began]
    if seen is None:
        assert deletions, f"{read.task_id} is gone, and nobody deleted it"
        return
    assert not [one for one in deletions if one.is_before(read)], f"{read.task_id} is back after its deletion"
    known = [write.revision for write in writes if write.is_before(read) and write.revision is not None]
    assert seen.revision >= max(known, default=0), f"{read} is older than revision {max(known, default=0)}"
    (source,) = [write for write in writes if write.title == seen.title]
    assert source.began < (read.ended or 0)
    assert source.revision in {None, seen.revision}, f"{read} shows {source} at another revision"
