"""What a message can ask for, once it is understood."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Topic(StrEnum):
    """What is talked about besides tasks."""

    HELLO = "hello"
    THANKS = "thanks"
    HELP = "help"
    NOTHING = "nothing"
    UNDO = "undo"


@dataclass(frozen=True, slots=True)
class Due:
    """When something is due: an aware moment, which is a day's end where no time was given."""

    moment: datetime
    has_time: bool


@dataclass(frozen=True, slots=True)
class NewItem:
    """A task to add."""

    title: str
    due: Due | None = None
    priority: str | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which tasks; `period` is how the bounds of the due date were said."""

    completed: bool | None = None
    priority: str | None = None
    tags: tuple[str, ...] = ()
    due_after: datetime | None = None
    due_before: datetime | None = None
    period: str = ""
    has_due: bool | None = None
    order: str | None = None


@dataclass(frozen=True, slots=True)
class Titled:
    """Means a task by words of its title; `parts` are the titles, where the text may be a list of them."""

    text: str
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Placed:
    """Means tasks by their places in the last list, counted from one; negative ones from its end."""

    places: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class That:
    """Means the task that was last touched or shown."""


@dataclass(frozen=True, slots=True)
class Those:
    """Means all tasks that were last touched or shown."""


@dataclass(frozen=True, slots=True)
class Every:
    """Means all tasks of a kind."""

    wanted: Wanted


Reference = Titled | Placed | That | Those | Every


@dataclass(frozen=True, slots=True)
class Complete:
    """Mark as done."""


@dataclass(frozen=True, slots=True)
class Reopen:
    """Mark as not done."""


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete for good."""


@dataclass(frozen=True, slots=True)
class Rename:
    """Give another title."""

    title: str


@dataclass(frozen=True, slots=True)
class Move:
    """Give another due date; None takes it away."""

    due: Due | None


@dataclass(frozen=True, slots=True)
class Shift:
    """Move the due date by a span, such as `2 days`."""

    span: str
    is_earlier: bool = False


@dataclass(frozen=True, slots=True)
class Prioritise:
    """Give another priority."""

    priority: str


@dataclass(frozen=True, slots=True)
class Retag:
    """Add and remove tags; `removed` of None means all."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] | None = ()


Action = Complete | Reopen | Delete | Rename | Move | Shift | Prioritise | Retag


@dataclass(frozen=True, slots=True)
class Add:
    """Add tasks; `left_out` counts those that were too many."""

    items: tuple[NewItem, ...]
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """Change the tasks that are meant."""

    reference: Reference
    action: Action


@dataclass(frozen=True, slots=True)
class Show:
    """List tasks."""

    wanted: Wanted


@dataclass(frozen=True, slots=True)
class Find:
    """Search by words."""

    text: str


@dataclass(frozen=True, slots=True)
class PlanDay:
    """Show what the day brings."""


@dataclass(frozen=True, slots=True)
class Review:
    """Look back and ahead by a week."""


@dataclass(frozen=True, slots=True)
class Chat:
    """Answer a courtesy or a call for help."""

    topic: Topic


@dataclass(frozen=True, slots=True)
class Unclear:
    """Was not understood, for this reason where there is one."""

    text: str
    reason: str = ""


Intent = Add | Change | Show | Find | PlanDay | Review | Chat | Unclear
