"""Errors that callers see, each with a stable code; every API maps them once."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Final

# How many bad values one answer tells of, as many as graphql-core does.
MAX_BAD_VALUES: Final = 50


class ErrorReason(StrEnum):
    """Which conflict it is."""

    STALE_REVISION = "STALE_REVISION"
    ID_TAKEN = "ID_TAKEN"
    KEY_REUSED = "KEY_REUSED"
    EMAIL_TAKEN = "EMAIL_TAKEN"
    PENDING_APPROVAL = "PENDING_APPROVAL"
    RUN_ACTIVE = "RUN_ACTIVE"
    RUN_ENDED = "RUN_ENDED"
    NOT_UNDOABLE = "NOT_UNDOABLE"


class TasktalkError(Exception):
    """A failure whose message is written for the caller."""

    code: ClassVar[str] = "INTERNAL_SERVER_ERROR"

    def __init__(self, message: str, *, path: tuple[str, ...] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.path = path

    @property
    def errors(self) -> Sequence["TasktalkError"]:
        """Return the failures that it stands for, each with its own path."""
        return (self,)


class BadUserInputError(TasktalkError):
    """What was sent cannot be accepted; the message says how to mend it."""

    code = "BAD_USER_INPUT"


class BadValuesError(BadUserInputError):
    """Several values that cannot be accepted, told together."""

    def __init__(self, errors: Sequence[TasktalkError]) -> None:
        super().__init__(" ".join(error.message for error in errors))
        self._errors = tuple(errors)

    @property
    def errors(self) -> Sequence[TasktalkError]:
        """Return the error of each value."""
        return self._errors


def check_each(check: Callable[..., Any], arguments: Iterable[tuple[Any, ...]]) -> list[Any]:
    """Return what a check returns for each arguments; raise what it refuses as one error: a form learns of all at once.

    Not more than MAX_BAD_VALUES are told.
    """
    results: list[Any] = []
    errors: list[TasktalkError] = []
    for given in arguments:
        try:
            results.append(check(*given))
        except BadUserInputError as error:
            errors += error.errors
            if len(errors) >= MAX_BAD_VALUES:
                break
    if errors:
        raise errors[0] if len(errors) == 1 else BadValuesError(errors[:MAX_BAD_VALUES])
    return results


def check_all(*checks: Callable[[], Any]) -> list[Any]:
    """Return what each check returns; raise what they refuse as one error."""
    return check_each(lambda check: check(), zip(checks))


class UnauthenticatedError(TasktalkError):
    """The caller is not signed in, or no longer."""

    code = "UNAUTHENTICATED"


class AccountGoneError(UnauthenticatedError):
    """The caller's account was deleted or deactivated after the request was authenticated."""

    def __init__(self) -> None:
        super().__init__("This account is gone or deactivated; sign in again.")


class ForbiddenError(TasktalkError):
    """The caller is known but may not do this."""

    code = "FORBIDDEN"


class NotFoundError(TasktalkError):
    """There is no such row for this caller; the same whether it is another's or never was."""

    code = "NOT_FOUND"


class ConflictError(TasktalkError):
    """What was sent contradicts the present state; `current` is the row as it is, where there is one."""

    code = "CONFLICT"

    def __init__(
        self, reason: ErrorReason, message: str, *, path: tuple[str, ...] | None = None, current: object = None
    ) -> None:
        super().__init__(message, path=path)
        self.reason = reason
        self.current = current


class QuotaExceededError(TasktalkError):
    """The caller has as many rows of a kind as they may have."""

    code = "QUOTA_EXCEEDED"


class RateLimitedError(TasktalkError):
    """Too many attempts; the next one is possible at `retry_at`."""

    code = "RATE_LIMITED"

    def __init__(self, message: str, *, retry_at: datetime) -> None:
        super().__init__(message)
        self.retry_at = retry_at


class CursorExpiredError(TasktalkError):
    """The cursor is older than the tombstones that are kept."""

    code = "CURSOR_EXPIRED"


class UnavailableError(TasktalkError):
    """The database cannot serve this now; the same request may succeed shortly."""

    code = "SERVICE_UNAVAILABLE"


class QueryTooComplexError(TasktalkError):
    """The operation would do more work than one request may."""

    code = "QUERY_TOO_COMPLEX"

    def __init__(self, message: str, *, cost: int, limit: int) -> None:
        super().__init__(message)
        self.cost = cost
        self.limit = limit


class TooManyOperationsError(TasktalkError):
    """The caller runs as many operations at once as it may."""

    code = "TOO_MANY_OPERATIONS"

    def __init__(self, message: str, *, limit: int) -> None:
        super().__init__(message)
        self.limit = limit
