"""Plans of undoing a run: the target state of each task, computed before anything is changed."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any, Final, TypeAlias

from models import HistoryAction
from services.entities.values import Values

# The parents of tasks, by their ids.
Parents: TypeAlias = Mapping[str, str | None]

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
class UndoPlan:
    """The current and the target state of a task, None where there is no task, and why the rest is not undone."""

    task_id: str
    current: Values | None
    target: Values | None = None
    # By field; the key None stands for the whole task.
    kept: dict[str | None, str] = field(default_factory=dict)

    @property
    def is_deletion(self) -> bool:
        """Tell whether the task is deleted."""
        return self.current is not None and self.target is None

    @property
    def is_restoration(self) -> bool:
        """Tell whether the task is created again."""
        return self.current is None and self.target is not None

    @property
    def changes(self) -> Values:
        """Return the values that are changed of a task that exists before and after."""
        current, target = self.current or {}, self.target or {}
        return {name: value for name, value in target.items() if name in current and current[name] != value}

    @property
    def parent_id(self) -> str | None:
        """Return the parent in the target state."""
        return None if self.target is None else self.target["parent_id"]

    @property
    def has_new_parent(self) -> bool:
        """Tell whether the task is moved below another parent."""
        return self.parent_id is not None and (self.current is None or self.current["parent_id"] != self.parent_id)

    def keep(self, name: str | None, message: str) -> None:
        """Note why a field is not undone, or the whole task, whose fields are not named then."""
        if name is None:
            self.kept = {None: message}
        elif None not in self.kept:
            self.kept[name] = message

    def keep_parent(self, message: str) -> None:
        """Leave the parent as it is."""
        if self.target is not None:
            self.target["parent_id"] = None if self.current is None else self.current["parent_id"]
        self.keep("parent_id", message)


def plan_undo(task_id: str, changes: Sequence[Any], run_id: str, current: Values | None) -> UndoPlan:
    """Return the plan of undoing what a run has changed of a task, all of whose changes are given in their order."""
    plan = UndoPlan(task_id, current, current and dict(current))
    restored = current
    changed_by_others: set[str] = set()
    for change in reversed(changes):
        if change.run_id != run_id:
            changed_by_others.update(map(_field, (*change.before, *change.after)))
        elif change.kind is HistoryAction.UPDATED:
            _undo_update(plan, change.before, changed_by_others)
        elif change.kind is HistoryAction.DELETED:
            if plan.target is None and not changed_by_others:
                plan.target, restored = dict(change.before), change.before
            else:
                plan.keep(None, DELETED if plan.target is None else CHANGED)
        elif plan.target is not None and changed_by_others:
            plan.target = restored and dict(restored)
            plan.keep(None, CHANGED_SINCE_MADE)
        else:
            # Where somebody else has deleted it, nothing is left to undo.
            plan.target = None
            plan.kept.clear()
    return plan


def _undo_update(plan: UndoPlan, before: Values, changed_by_others: Collection[str]) -> None:
    if plan.target is None:
        plan.keep(None, DELETED)
        return
    for name, value in before.items():
        if _field(name) in changed_by_others:
            plan.keep(_field(name), CHANGED)
        else:
            plan.target[name] = value


def _field(column: str) -> str:
    return _TOGETHER.get(column, column)


def resolve_conflicts(plans: Sequence[UndoPlan], used_ids: Collection[str], parents: Parents) -> None:
    """Keep what cannot be undone together: `parents` has the tasks above those of the plans and below deleted ones."""
    for plan in plans:
        if plan.is_restoration and plan.task_id in used_ids:
            plan.target = None
            plan.keep(None, ID_TAKEN)
    # What is kept may prevent something else.
    while _keep_missing(plans, parents) or _keep_cycle(plans, parents) or _keep_needed(plans, parents):
        pass


def _keep_missing(plans: Sequence[UndoPlan], parents: Parents) -> bool:
    """Move no task below one that does not exist."""
    existing = parents.keys() | {plan.task_id for plan in plans if plan.is_restoration}
    orphans = [plan for plan in plans if plan.has_new_parent and plan.parent_id not in existing]
    for plan in orphans:
        plan.keep_parent(NO_PARENT)
    return bool(orphans)


def _keep_cycle(plans: Sequence[UndoPlan], parents: Parents) -> bool:
    """Move no task below itself."""
    cycle = _find_cycle(_target_parents(plans, parents))
    moved = [plan for plan in plans if plan.task_id in cycle and plan.has_new_parent]
    if moved:
        moved[0].keep_parent(CIRCLE)
    return bool(moved)


def _keep_needed(plans: Sequence[UndoPlan], parents: Parents) -> bool:
    """Delete no task that has subtasks."""
    needed = set(_target_parents(plans, parents).values())
    kept = [plan for plan in plans if plan.is_deletion and plan.task_id in needed]
    for plan in kept:
        plan.target = plan.current and dict(plan.current)
        plan.keep(None, HAS_SUBTASKS)
    return bool(kept)


def _target_parents(plans: Iterable[UndoPlan], parents: Parents) -> dict[str, str | None]:
    planned = {plan.task_id: plan for plan in plans}
    others = {task_id: parent_id for task_id, parent_id in parents.items() if task_id not in planned}
    return others | {task_id: plan.parent_id for task_id, plan in planned.items() if plan.target is not None}


def _find_cycle(parents: Parents) -> Collection[str]:
    """Return tasks each of which is a part of the next, and the last of the first, if there are any."""
    graph = {task_id: [parent_id] for task_id, parent_id in parents.items() if parent_id is not None}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        cycle: list[str] = error.args[1]
        return cycle
    return ()
