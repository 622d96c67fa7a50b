"""How one wish is fulfilled: a generator that asks for tool calls and ends with what to say."""

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Final

from assistant.offline.calls import Call, Outcome, Task
from assistant.offline.dates import Calendar
from assistant.offline.past import Past
from assistant.offline.wording import Part

Script = Generator[tuple[Call, ...], list[Outcome], list[Part]]
Asking = Generator[tuple[Call, ...], list[Outcome], "Found"]

# Asked for in place of calls: to go on when all wishes before this one have been fulfilled.
WAIT: Final[tuple[Call, ...]] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """The tasks that are meant, or what to say where that is not clear."""

    tasks: list[Task] = field(default_factory=list)
    problem: list[Part] = field(default_factory=list)
    total: int = 0


@dataclass(slots=True)
class Desk:
    """What the scripts of one message share; `touched` grows as they change tasks."""

    calendar: Calendar
    past: Past
    touched: list[Task] = field(default_factory=list)

    def touch(self, task: Task) -> None:
        """Note that a task has been changed, and how it is now."""
        self.touched = [other for other in self.touched if other["id"] != task["id"]] + [task]

    def latest(self, task: Task) -> Task:
        """Return the task as it is after the changes so far."""
        return next((other for other in self.touched if other["id"] == task["id"]), task)
