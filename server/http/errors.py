"""Errors as clients see them: requests refused before execution, and errors of GraphQL fields."""

from collections.abc import Iterable, Sequence
from math import ceil
from typing import Any, Final

import structlog
from graphql import GraphQLError

from core.clock import utc_now
from core.errors import (
    ConflictError,
    QueryTooComplexError,
    RateLimitedError,
    TasktalkError,
    TooManyOperationsError,
    UnavailableError,
)
from core.tokens import expired_token

FormattedError = dict[str, Any]
Header = tuple[bytes, bytes]

RETRY_AFTER: Final[Header] = (b"retry-after", b"1")
_INTERNAL: Final = "INTERNAL_SERVER_ERROR"

_log = structlog.stdlib.get_logger("graphql")


def retry_after(error: RateLimitedError) -> Header:
    """Return the header that says when to try again, in whole seconds."""
    return b"retry-after", b"%d" % max(1, ceil((error.retry_at - utc_now()).total_seconds()))


class RefusedError(Exception):
    """A request that is answered without being executed.

    `json_status` is the status where the client asked for application/json, which wants 200 for some.
    """

    def __init__(
        self,
        status: int,
        errors: Sequence[FormattedError],
        *,
        json_status: int | None = None,
        headers: tuple[Header, ...] = (),
    ) -> None:
        super().__init__(errors[0]["message"])
        self.status = status
        self.json_status = status if json_status is None else json_status
        self.errors = errors
        self.headers = headers

    def copy(self) -> "RefusedError":
        """Return the same refusal without what its being raised has left in it."""
        return RefusedError(self.status, self.errors, json_status=self.json_status, headers=self.headers)


def refuse(
    status: int, message: str, *, code: str = "BAD_USER_INPUT", headers: tuple[Header, ...] = (), **extensions: Any
) -> RefusedError:
    """Return the refusal of a request, with what the client may know besides the code."""
    return RefusedError(status, [{"message": message, "extensions": {"code": code, **extensions}}], headers=headers)


# The errors of running operations when their caller's session ends or the token expires.
SESSION_OVER: Final = refuse(401, "The session is over; sign in again.", code="UNAUTHENTICATED").errors[0]
TOKEN_EXPIRED: Final = refuse(401, expired_token().message, code="UNAUTHENTICATED").errors[0]
# The end of an event stream whose user has opened one too many.
REPLACED_BY_NEWER: Final = refuse(
    429, "A newer connection of yours takes the place of this one.", code="RATE_LIMITED"
).errors[0]


def refuse_document(errors: Iterable[GraphQLError], code: str) -> RefusedError:
    """Return the refusal of a document, or of its variables, that does not fit the schema."""
    formatted = [_with_extensions(error, {**(error.extensions or {}), "code": code}) for error in errors]
    return RefusedError(400, formatted, json_status=200)


def refuse_for(error: TasktalkError) -> RefusedError:
    """Return the refusal of a request that failed before its fields were reached."""
    headers: tuple[Header, ...] = ()
    if error.code == "UNAUTHENTICATED":
        status, headers = 401, ((b"www-authenticate", b'Bearer error="invalid_token"'),)
    elif isinstance(error, UnavailableError):
        status, headers = 503, (RETRY_AFTER,)
    elif isinstance(error, RateLimitedError):
        status, headers = 429, (retry_after(error),)
    else:
        status = 400
    return RefusedError(status, [{"message": error.message, "extensions": error_extensions(error)}], headers=headers)


def masked(request_id: str) -> RefusedError:
    """Return the refusal that stands for a failure of ours."""
    return refuse(500, masked_message(request_id), code=_INTERNAL, requestId=request_id)


def masked_message(request_id: str) -> str:
    """Return the message in place of an unexpected error."""
    return f"Something went wrong on our side. Request id: {request_id}"


def format_field_error(error: GraphQLError, request_id: str) -> FormattedError:
    """Return a field's error as the client sees it; log and mask an unexpected one."""
    cause = error.original_error
    if isinstance(cause, TasktalkError):
        return _with_extensions(error, error_extensions(cause))
    # Arguments that do not fit name their nodes; a result that does not fit its type is our fault and names none.
    if cause is None or (isinstance(cause, GraphQLError) and (cause.nodes or cause.extensions)):
        code = (error.extensions or {}).get("code", "BAD_USER_INPUT")
        return _with_extensions(error, {**(error.extensions or {}), "code": code})
    _log.error("field failed", path=error.path, exc_info=cause)
    formatted = _with_extensions(error, {"code": _INTERNAL, "requestId": request_id})
    return {**formatted, "message": masked_message(request_id)}


def _with_extensions(error: GraphQLError, extensions: dict[str, Any]) -> FormattedError:
    return {**error.formatted, "extensions": extensions}


def error_extensions(error: TasktalkError) -> dict[str, Any]:
    """Return what programs are told of an expected failure."""
    extensions: dict[str, Any] = {"code": error.code}
    if error.path:
        extensions["path"] = list(error.path)
    if isinstance(error, ConflictError):
        extensions["reason"] = error.reason
    if isinstance(error, RateLimitedError):
        extensions["retryAt"] = error.retry_at.isoformat()
    elif isinstance(error, QueryTooComplexError):
        extensions |= {"cost": error.cost, "limit": error.limit}
    elif isinstance(error, TooManyOperationsError):
        extensions["limit"] = error.limit
    return extensions
