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
    """What the scripts of one message share; `place` is which of its wishes a script fulfils."""

    calendar: Calendar
    past: Past
    _touched: dict[int, list[Task]] = field(default_factory=dict)

    def touch(self, place: int, task: Task) -> None:
        """Note that a task has been changed, and how it is now."""
        self._touched.setdefault(place, []).append(task)

    def touched_before(self, place: int) -> list[Task]:
        """Return the tasks that the last wish before this one changed."""
        places = [other for other in self._touched if other < place]
        return [self.latest(task) for task in self._touched[max(places)]] if places else []

    def latest(self, task: Task) -> Task:
        """Return the task as it is after the changes so far."""
        changed = [other for tasks in self._touched.values() for other in tasks if other["id"] == task["id"]]
        return changed[-1] if changed else task
