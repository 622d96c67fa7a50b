"""Workload: whose work the current task does, by which connections and threads are shared fairly."""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Final

from core.errors import UnavailableError


class Workload:
    """The work of one request, socket or run; `key` names who pays for it: a user, or the address of a stranger."""

    __slots__ = ("is_abandoned", "key", "on_wait", "user_id")

    def __init__(
        self,
        *,
        user_id: str | None = None,
        address: str = "",
        is_abandoned: Callable[[], bool] | None = None,
        on_wait: Callable[[], None] | None = None,
    ) -> None:
        self.user_id = user_id
        self.key = address if user_id is None else user_id
        # Tells whether its client has gone, so that no write needs to begin; None where it goes on in any case.
        self.is_abandoned = is_abandoned
        # Called before it waits for something else than the processor and connections.
        self.on_wait = on_wait


# None is the server's own work, such as leases of runs and status of sessions, which never waits behind a user's.
current_workload: Final[ContextVar[Workload | None]] = ContextVar("current_workload", default=None)


def start_workload(*, user_id: str | None = None, address: str = "") -> None:
    """Let the current task do the work of a user, or of a stranger at an address, from now on."""
    current_workload.set(Workload(user_id=user_id, address=address))


def continue_workload(*, user_id: str | None, address: str) -> None:
    """Let the current task go on with its request as the work of a user."""
    request = current_workload.get() or Workload()
    workload = Workload(user_id=user_id, address=address, is_abandoned=request.is_abandoned, on_wait=request.on_wait)
    current_workload.set(workload)


def require_client() -> None:
    """Raise UnavailableError where the client of the request has gone before anything of it was written."""
    workload = current_workload.get()
    if workload is not None and workload.is_abandoned is not None and workload.is_abandoned():
        raise UnavailableError("The client has gone.")


def end_abandoning() -> None:
    """Let the request go on without its client, since some of it is written."""
    if (workload := current_workload.get()) is not None:
        workload.is_abandoned = None
