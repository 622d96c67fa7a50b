"""The check of histories finds what it is there to find."""

import pytest

from tests.hardening.observed import Kind, Operation, Replica, Seen, check, check_replica


def done(kind: Kind, revision: int | None, title: str | None = None, expected: int | None = None) -> Operation:
    """Return an operation on the one task that was answered before the next is sent."""
    operation = Operation(kind, title=title, expected_revision=expected)
    operation.end("a", None if revision is None else Seen(title or "", revision))
    return operation


def history() -> list[Operation]:
    """Return a history of one task in which nothing is wrong."""
    return [
        done(Kind.CREATE, 1, "first"),
        done(Kind.UPDATE, 2, "second", 1),
        done(Kind.READ, 2, "second"),
        Operation(Kind.UPDATE, "a", "unknown"),
    ]


@pytest.mark.parametrize("final", [Seen("second", 2), Seen("unknown", 3)])
def test_sound_history_passes(final: Seen) -> None:
    check(history(), {"a": final}, ())


# What is found wrong, with what is done besides, the row in the end, and what was deleted.
WRONG: dict[str, tuple[list[tuple[Kind, int | None, str | None, int | None]], dict[str, Seen], tuple[str, ...]]] = {
    "lost": ([], {}, ()),
    "is gone": ([], {}, ("a",)),
    "created more than once": ([], {"a": Seen("second", 2), "b": Seen("first", 3)}, ()),
    "older than": ([], {"a": Seen("first", 1)}, ()),
    "has overwritten": ([(Kind.UPDATE, 4, "third", 1)], {"a": Seen("third", 4)}, ()),
    "have one revision": ([(Kind.UPDATE, 2, "third", None)], {"a": Seen("third", 2)}, ()),
    "comes after": ([(Kind.UPDATE, 4, "fourth", None), (Kind.UPDATE, 3, "third", None)], {"a": Seen("fourth", 4)}, ()),
    "is back": ([(Kind.DELETE, None, None, None)], {"a": Seen("second", 2)}, ()),
}


@pytest.mark.parametrize("complaint", WRONG)
def test_what_is_wrong_is_found(complaint: str) -> None:
    besides, rows, deleted_ids = WRONG[complaint]
    operations = history() + [done(*each) for each in besides]
    with pytest.raises(AssertionError, match=complaint):
        check(operations, rows, deleted_ids)


def test_copy_that_misses_a_write_is_found() -> None:
    operations, replica = history(), Replica()
    with pytest.raises(AssertionError, match="misses"):
        check_replica(replica, operations, asked_at=1 << 40)
    replica.apply([("a", Seen("second", 2))], ())
    check_replica(replica, operations, asked_at=1 << 40)
    with pytest.raises(AssertionError, match="went back"):
        replica.apply([("a", Seen("first", 1))], ())
