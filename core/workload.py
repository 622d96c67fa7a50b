"""Workload: whose work the current task does, by which connections and threads are shared fairly."""

from contextvars import ContextVar
from typing import Final


class Workload:
    """The work of one request, socket or run; `key` names who pays for it: a user, or the address of a stranger."""

    __slots__ = ("key", "user_id")

    def __init__(self, *, user_id: str | None = None, address: str = "") -> None:
        self.user_id = user_id
        self.key = address if user_id is None else user_id


# None is the server's own work, such as leases of runs and status of sessions, which never waits behind a user's.
current_workload: Final[ContextVar[Workload | None]] = ContextVar("current_workload", default=None)


def start_workload(*, user_id: str | None = None, address: str = "") -> None:
    """Let the current task do the work of a user, or of a stranger at an address, from now on."""
    current_workload.set(Workload(user_id=user_id, address=address))
