"""What is refused is refused through every door, with the same code, in the same words, and leaves no trace."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from tests.factories import NOBODYS_ID, SignedIn, make_task
from tests.parity.doors import ALL, NOT_MCP, Door, House, RefusedError
from tests.state import state_of

OWN: Final = "0190aaaa-0000-7000-8000-000000000001"
BELOW: Final = "0190aaaa-0000-7000-8000-000000000002"
THEIRS: Final = "0190aaaa-0000-7000-8000-000000000003"
NO_TASK: Final = "There is no such task."
NUL: Final = "contains a NUL character or a lone surrogate; remove it and send the text as valid Unicode."


@dataclass(frozen=True)
class Refusal:
    """What is asked for, and what is said: the same words, or at least these where the rest names the place."""

    name: str
    ask: Callable[[Door], Awaitable[Any]]
    code: str
    words: str = ""
    # What the door's own reading of values says, for which each has its words.
    own_words: bool = False
    doors: Sequence[str] = field(default=ALL)


def bad(name: str, ask: Callable[[Door], Awaitable[Any]], words: str, **more: Any) -> Refusal:
    return Refusal(name, ask, "BAD_USER_INPUT", words, **more)


def unknown(name: str, ask: Callable[[Door, str], Awaitable[Any]], doors: Sequence[str] = ALL) -> list[Refusal]:
    """Return the cases of an id that is another user's, one that never was, and one that is none."""
    ids = {"another's": THEIRS, "nobody's": NOBODYS_ID, "no id": "1; DROP TABLE tasks", "NUL": "\0", "digits": "٣" * 36}
    return [
        Refusal(f"{name} {kind}", lambda door, row_id=row_id: ask(door, row_id), "NOT_FOUND", NO_TASK, doors=doors)  # type: ignore[misc]  # a lambda's default has no type
        for kind, row_id in ids.items()
    ]


def long_title(door: Door) -> Awaitable[Any]:
    return door.add(title="x" * 501)


REFUSALS: Final = (
    *unknown("read", lambda door, row_id: door.get(row_id), NOT_MCP),
    *unknown("change", lambda door, row_id: door.update(row_id, title="Mine")),
    *unknown("complete", lambda door, row_id: door.complete(row_id)),
    *unknown("reopen", lambda door, row_id: door.reopen(row_id)),
    *unknown("turn over", lambda door, row_id: door.toggle(row_id), NOT_MCP),
    *unknown("delete", lambda door, row_id: door.delete(row_id)),
    *unknown("add below", lambda door, row_id: door.add(title="Mine", parent_id=row_id)),
    *unknown("move below", lambda door, row_id: door.update(OWN, parent_id=row_id)),
    bad("no title", lambda door: door.add(title=""), "title must be 1 to 500 characters long; it has 0."),
    bad("white title", lambda door: door.add(title=" \n"), "title must be 1 to 500 characters long; it has 0."),
    bad("long title", long_title, "500 characters long; it has 501.", own_words=True),
    bad("NUL in a title", lambda door: door.add(title="a\0b"), f"title {NUL}"),
    bad("NUL in a new title", lambda door: door.update(OWN, title="a\0b"), f"title {NUL}"),
    bad("NUL in a description", lambda door: door.add(title="x", description="\0"), f"description {NUL}"),
    bad("NUL in a tag", lambda door: door.add(title="x", tags=["y", "\0"]), f"tags[1] {NUL}"),
    bad(
        "long description",
        lambda door: door.add(title="x", description="y" * 10_001),
        "must be at most 10000 characters long; it has 10001.",
        own_words=True,
    ),
    bad(
        "empty tag",
        lambda door: door.add(title="x", tags=["y", " "]),
        "tags[1] must be 1 to 50 characters long; it has 0.",
    ),
    bad("long tag", lambda door: door.update(OWN, tags=["y" * 51]), "50 characters long; it has 51.", own_words=True),
    bad(
        "many tags",
        lambda door: door.add(title="x", tags=[str(number) for number in range(21)]),
        "A task has at most 20 tags; these are 21.",
    ),
    bad(
        "below itself",
        lambda door: door.update(OWN, parent_id=OWN),
        "A task cannot be below itself; choose a parent outside its subtasks.",
    ),
    bad(
        "below its own part",
        lambda door: door.update(OWN, parent_id=BELOW),
        "A task cannot be below itself; choose a parent outside its subtasks.",
    ),
    bad("no title at all", lambda door: door.update(OWN, title=None), "title", own_words=True),
    bad("a moment without an offset", lambda door: door.add(title="x", due_at="2026-01-31T09:00:00"),
        "'2026-01-31T09:00:00' is no moment; write it as RFC 3339 with an offset, such as 2026-01-31T09:00:00Z.",
        own_words=True),
    bad("a moment that is none", lambda door: door.update(OWN, due_at="2026-02-30T09:00:00Z"),
        "'2026-02-30T09:00:00Z' is no moment; write it as RFC 3339 with an offset, such as 2026-01-31T09:00:00Z.",
        own_words=True),
    bad("a priority", lambda door: door.add(title="x", priority="URGENT"), "priority", own_words=True),
    bad("a priority in small letters", lambda door: door.update(OWN, priority="high"), "priority", own_words=True),
    bad("no title given", lambda door: door.add(description="x"), "title", own_words=True),
    bad("a title that is no text", lambda door: door.add(title=1), "title", own_words=True),
    # GraphQL takes one value for a list of it, and a page of nothing.
    bad("no list", lambda door: door.add(title="x", tags="a"), "tags", own_words=True, doors=("rest", "mcp")),
    bad("a page of nothing", lambda door: door.find(limit=0), "", own_words=True, doors=("rest", "mcp")),
    bad("what is not known", lambda door: door.add(title="x", user_id=NOBODYS_ID), "", own_words=True),
    bad("a list of less", lambda door: door.find(limit=-1), "", own_words=True),
    bad("a list of too many", lambda door: door.find(limit=101), "", own_words=True),
    bad("an order", lambda door: door.find(order="revision"), "", own_words=True),
    bad("a filter", lambda door: door.find(priority="URGENT"), "", own_words=True),
    bad("long search", lambda door: door.search("x" * 1_001), "", own_words=True),
    bad("NUL in a search", lambda door: door.search("\0"), f" {NUL}", own_words=True),
)  # fmt: skip


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.name)
async def test_refusals(house: House, user: SignedIn, stranger: SignedIn, refusal: Refusal) -> None:
    await make_task(house.database, user.caller, id=OWN)
    await make_task(house.database, user.caller, id=BELOW, parent_id=OWN)
    await make_task(house.database, stranger.caller, id=THEIRS)
    before = [await state_of(house.database, each.user.id) for each in (user, stranger)]
    told = {}
    for name in refusal.doors:
        async with house.door(name, user) as door:
            with pytest.raises(RefusedError) as refused:
                await refusal.ask(door)
        told[name] = refused.value
    assert [await state_of(house.database, each.user.id) for each in (user, stranger)] == before
    # A tool's result has no code: it is for a model to read.
    assert {error.code for error in told.values()} - {None} == {refusal.code}
    assert [name for name, error in told.items() if error.code is None] in ([], ["mcp"])
    words = {error.message for error in told.values()}
    assert all(refusal.words in each for each in words), words
    assert all(words)
    assert refusal.own_words or len(words) == 1, words
