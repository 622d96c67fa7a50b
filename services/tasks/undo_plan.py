"""What taking back a run comes to, worked out before anything is changed: how each task is to stand."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from models import HistoryAction
from services.entities.values import Values

Parents = Mapping[str, str | None]

CHANGED: Final = "It was changed since, and stays as it is."
DELETED: Final = "The task was deleted since."
CHANGED_SINCE_MADE: Final = "The task was changed since it was made, and stays."
HAS_SUBTASKS: Final = "The task has subtasks by now, and stays."
ID_TAKEN: Final = "The task cannot come back: its id is in use by now."
NO_PARENT: Final = "The task that it was a part of is gone."
CIRCLE: Final = "The task that it was a part of is by now a part of it."
# Both say whether a task is done, so they stay together.
_TOGETHER: Final = {"completed_at": "completed"}


@dataclass(slots=True)
class Plan:
    """How a task stands, how it is to stand, and what stays of what the run has done to it; None where it is gone."""

    task_id: str
    now: Values | None
    then: Values | None = None
    # By field; the key None stands for the whole task.
    kept: dict[str | None, str] = field(default_factory=dict)

    @property
    def is_doomed(self) -> bool:
        """Tell whether the task is to go."""
        return self.now is not None and self.then is None

    @property
    def is_restored(self) -> bool:
        """Tell whether the task is to come back."""
        return self.now is None and self.then is not None

    @property
    def changed(self) -> Values:
        """Return what is to change of a task that is there before and after."""
        now, then = self.now or {}, self.then or {}
        return {name: value for name, value in then.items() if name in now and now[name] != value}

    @property
    def parent_id(self) -> str | None:
        """Return the task that it is to be a part of."""
        return None if self.then is None else self.then["parent_id"]

    @property
    def is_moved(self) -> bool:
        """Tell whether it is to be a part of a task that it is no part of now."""
        return self.parent_id is not None and (self.now is None or self.now["parent_id"] != self.parent_id)

    def keep(self, name: str | None, message: str) -> None:
        """Note what stays; where the whole task does, its fields are not named."""
        if name is None:
            self.kept = {None: message}
        elif None not in self.kept:
            self.kept[name] = message

    def leave_parent(self, message: str) -> None:
        """Let the task be a part of what it is a part of now."""
        if self.then is not None:
            self.then["parent_id"] = None if self.now is None else self.now["parent_id"]
        self.keep("parent_id", message)


def take_back(task_id: str, changes: Sequence[Any], run_id: str, now: Values | None) -> Plan:
    """Plan how a task stands without what the run has done, its changes given in their order."""
    plan = Plan(task_id, now, now and dict(now))
    stands = plan.then and dict(plan.then)
    changed_by_others: set[str] = set()
    for change in reversed(changes):
        if change.run_id != run_id:
            changed_by_others.update(map(_unit, (*change.before, *change.after)))
        elif change.kind is HistoryAction.UPDATED:
            _take_back_update(plan, change.before, changed_by_others)
        elif change.kind is HistoryAction.CREATED:
            _take_back_making(plan, stands, is_changed=bool(changed_by_others))
        elif plan.then is None and not changed_by_others:
            plan.then, stands = dict(change.before), dict(change.before)
        else:
            plan.keep(None, DELETED if plan.then is None else CHANGED)
    return plan


def _take_back_update(plan: Plan, before: Values, changed_by_others: Collection[str]) -> None:
    if plan.then is None:
        plan.keep(None, DELETED)
        return
    for name, value in before.items():
        if _unit(name) in changed_by_others:
            plan.keep(_unit(name), CHANGED)
        else:
            plan.then[name] = value


def _take_back_making(plan: Plan, stands: Values | None, *, is_changed: bool) -> None:
    if plan.then is None:
        # It is gone, whoever deleted it: nothing of it is left to take back.
        plan.kept.clear()
    elif is_changed:
        plan.then = stands
        plan.keep(None, CHANGED_SINCE_MADE)
    else:
        plan.then = None
        plan.kept.clear()


def _unit(name: str) -> str:
    return _TOGETHER.get(name, name)


def settle(plans: Sequence[Plan], taken: Collection[str], around: Parents) -> None:
    """Give up what cannot be together: `around` says of the tasks on the way up, and of those below, what is whose."""
    for plan in plans:
        if plan.is_restored and plan.task_id in taken:
            plan.then = None
            plan.keep(None, ID_TAKEN)
    # Whatever is given up may stand in the way of something else.
    while _leave_missing(plans, around) or _leave_circle(plans, around) or _keep_parents(plans, around):
        pass


def _leave_missing(plans: Sequence[Plan], around: Parents) -> bool:
    there = around.keys() | {plan.task_id for plan in plans if plan.is_restored}
    lost = [plan for plan in plans if plan.is_moved and plan.parent_id not in there]
    for plan in lost:
        plan.leave_parent(NO_PARENT)
    return bool(lost)


def _leave_circle(plans: Sequence[Plan], around: Parents) -> bool:
    circle = _find_circle(_parents_then(plans, around))
    moved = [plan for plan in plans if plan.task_id in circle and plan.is_moved]
    if moved:
        moved[0].leave_parent(CIRCLE)
    return bool(moved)


def _keep_parents(plans: Sequence[Plan], around: Parents) -> bool:
    """Let tasks stay that others are a part of."""
    parents = set(_parents_then(plans, around).values())
    needed = [plan for plan in plans if plan.is_doomed and plan.task_id in parents]
    for plan in needed:
        plan.then = plan.now and dict(plan.now)
        plan.keep(None, HAS_SUBTASKS)
    return bool(needed)


def _parents_then(plans: Iterable[Plan], around: Parents) -> dict[str, str | None]:
    """Return which task each is to be a part of."""
    parents = dict(around)
    for plan in plans:
        parents.pop(plan.task_id, None)
        if plan.then is not None:
            parents[plan.task_id] = plan.parent_id
    return parents


def _find_circle(parents: Parents) -> Collection[str]:
    """Return tasks each of which is a part of the next, and the last of the first, if there are any."""
    cleared: set[str] = set()
    for start in parents:
        way: dict[str, None] = {}
        at: str | None = start
        while at is not None and at not in cleared and at not in way:
            way[at] = None
            at = parents.get(at)
        if at in way:
            passed = list(way)
            return passed[passed.index(at) :]
        cleared.update(way)
    return ()
