"""Errors that callers see, each with a stable code; every API maps them once."""

from datetime import datetime
from typing import ClassVar


class TasktalkError(Exception):
    """A failure whose message is written for the caller."""

    code: ClassVar[str] = "INTERNAL_SERVER_ERROR"

    def __init__(self, message: str, *, path: tuple[str, ...] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.path = path


class BadUserInputError(TasktalkError):
    """What was sent cannot be accepted; the message says how to mend it."""

    code = "BAD_USER_INPUT"


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

    def __init__(self, message: str, *, path: tuple[str, ...] | None = None, current: object = None) -> None:
        super().__init__(message, path=path)
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
