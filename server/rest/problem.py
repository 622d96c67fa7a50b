"""Failures over REST: problem details (RFC 9457) with GraphQL's codes, and their description in OpenAPI."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from pydantic.alias_generators import to_snake
from starlette.requests import Request
from starlette.responses import JSONResponse

from core.errors import ConflictError, ErrorReason, RateLimitedError, TasktalkError
from server.http.errors import RETRY_AFTER, RefusedError, retry_after
from server.rest.fields import shown

MEDIA_TYPE: Final = "application/problem+json"
_STATUS: Final = {
    "BAD_USER_INPUT": 422,
    "UNAUTHENTICATED": 401,
    "FORBIDDEN": 403,
    "NOT_FOUND": 404,
    "CONFLICT": 409,
    "QUOTA_EXCEEDED": 409,
    "CURSOR_EXPIRED": 410,
    "RATE_LIMITED": 429,
    "TOO_MANY_OPERATIONS": 429,
    "SERVICE_UNAVAILABLE": 503,
}
_MAX_ERRORS: Final = 20
_SEVERAL: Final = "{} values are not right; see errors."
_HEADERS: Final = {"idempotency_key": "Idempotency-Key", "expected_revision": "If-Match"}
# Arguments of the services by their names in REST.
_NAMES: Final = {"content": "message"}
_MEANINGS: Final = {
    400: "The request is not well formed.",
    401: "The caller is not signed in, or no longer.",
    403: "The caller may not do this.",
    404: "There is no such thing for this caller.",
    408: "The body did not arrive in time.",
    409: "What was sent contradicts the present state.",
    412: "The thing has changed since the ETag in If-Match; the problem has it as it stands.",
    413: "The body is too large.",
    415: "The body is of another type than the one that is taken.",
    422: "A value is not right.",
    429: "Too many attempts, or too much at once; Retry-After says when to come back.",
    500: "Something went wrong on our side.",
    503: "The database cannot answer now; the same request may succeed shortly.",
}
_EVERYWHERE: Final = (400, 422, 429, 500, 503)
_WITH_BODY: Final = (408, 413, 415)
_ETAG: Final = {"description": "The revision, to be sent as If-Match.", "schema": {"type": "string"}}
_LOCATION: Final = {"description": "Where it is to be found.", "schema": {"type": "string"}}

Responses = dict[int | str, dict[str, Any]]


class ProblemError(BaseModel):
    """One thing that is wrong, and where: in the body, in the query string or in a header."""

    detail: str = Field(description="What is wrong and how to mend it.")
    pointer: str | None = Field(default=None, description="The place in the body, as a JSON pointer.")
    parameter: str | None = Field(default=None, description="The parameter of the path or of the query string.")
    header: str | None = Field(default=None, description="The header.")


class Problem(BaseModel):
    """Why a request was not carried out (RFC 9457)."""

    type: str = Field(description="about:blank: what kind of problem it is, the code says.")
    title: str = Field(description="What the status means.")
    status: int = Field(description="The status of the response.")
    detail: str = Field(description="What went wrong and how to mend it, for people.")
    code: str = Field(description="What went wrong, for programs; the codes are those of GraphQL.")
    reason: ErrorReason | None = Field(default=None, description="Of a CONFLICT, which one it is.")
    errors: list[ProblemError] | None = Field(default=None, description="Each thing that is wrong, and where.")
    retry_at: str | None = Field(default=None, description="When to try again, where that is known.")
    request_id: str | None = Field(default=None, description="The id under which the log tells of a failure of ours.")
    current: dict[str, Any] | None = Field(default=None, description="After a stale If-Match, the thing as it stands.")


def problems(*statuses: int, body: bool = False) -> Responses:
    """Describe the failures of a route: those of every route, those of one that takes a body, and its own."""
    every = sorted({*_EVERYWHERE, *(_WITH_BODY if body else ()), *statuses})
    return {status: {"model": Problem, "description": _MEANINGS[status]} for status in every}


def stamped(status: int, *, location: bool = False) -> Responses:
    """Describe the headers of a success that shows one row."""
    return {status: {"headers": {"ETag": _ETAG} | ({"Location": _LOCATION} if location else {})}}


def problem(
    status: int, code: str, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any
) -> JSONResponse:
    """Return a problem as the client sees it."""
    title = HTTPStatus(status).phrase
    content = {"type": "about:blank", "title": title, "status": status, "detail": detail, "code": code}
    content |= {name: value for name, value in more.items() if value}
    return JSONResponse(content, status, {"cache-control": "no-store"} | dict(headers or {}), media_type=MEDIA_TYPE)


def of_error(error: TasktalkError, request: Request) -> JSONResponse:
    """Return the problem of an expected failure."""
    status, headers = _STATUS.get(error.code, 400), dict[str, str]()
    errors = [place for each in error.errors[:_MAX_ERRORS] for place in _places(each, request)]
    detail = error.message if len(error.errors) == 1 else _SEVERAL.format(len(error.errors))
    more: dict[str, Any] = {"errors": errors}
    if isinstance(error, ConflictError):
        more["reason"] = error.reason
    if isinstance(error, ConflictError) and error.current is not None:
        status = 412 if error.reason is ErrorReason.STALE_REVISION else status
        more["current"] = shown(error.current)
    if isinstance(error, RateLimitedError):
        headers["Retry-After"] = retry_after(error)[1].decode()
        more["retry_at"] = error.retry_at.isoformat()
    elif error.code == "UNAUTHENTICATED":
        is_sent = "authorization" in request.headers
        headers["WWW-Authenticate"] = 'Bearer error="invalid_token"' if is_sent else "Bearer"
    elif error.code == "SERVICE_UNAVAILABLE":
        headers["Retry-After"] = RETRY_AFTER[1].decode()
    return problem(status, error.code, detail, headers=headers, **more)


def of_refusal(refusal: RefusedError) -> JSONResponse:
    """Return the problem of a request that is not well formed, or that failed on our side."""
    error, extensions = refusal.errors[0], refusal.errors[0]["extensions"]
    headers = {name.decode(): value.decode() for name, value in refusal.headers}
    request_id = extensions.get("requestId")
    return problem(refusal.status, extensions["code"], error["message"], headers=headers, request_id=request_id)


def of_validation(error: RequestValidationError) -> JSONResponse:
    """Return the problem of values that do not fit the description of the API."""
    found = error.errors()
    errors = [_of_value(each) for each in found[:_MAX_ERRORS]]
    _, where = errors[0].values()
    detail = f"{where}: {errors[0]['detail']}" if len(found) == 1 else _SEVERAL.format(len(found))
    return problem(422, "BAD_USER_INPUT", detail, errors=errors)


def _places(error: TasktalkError, request: Request) -> list[dict[str, str]]:
    """Return the place of the mistake by its name in REST; a parameter of the path needs no naming."""
    if not error.path:
        return []
    names = [_NAMES.get(name, name) for name in map(to_snake, error.path) if name not in {"input", "filter"}]
    if not names or (names[0] == "id" and request.path_params):
        return []
    if names[0] == "header":
        return [{"detail": error.message, "header": error.path[-1]}]
    if names[0] in _HEADERS:
        return [{"detail": error.message, "header": _HEADERS[names[0]]}]
    if request.method == "GET":
        return [{"detail": error.message, "parameter": names[0]}]
    return [{"detail": error.message, "pointer": _pointer(names)}]


def _of_value(error: Mapping[str, Any]) -> dict[str, str]:
    where, *names = error["loc"]
    detail = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "string_too_long":
        maximum, length = error["ctx"]["max_length"], len(error["input"])
        detail = f"It must be at most {maximum} characters long; it has {length}."
    if where == "body":
        return {"detail": detail, "pointer": _pointer(map(str, names))}
    return {"detail": detail, ("header" if where == "header" else "parameter"): str(names[0]) if names else ""}


def _pointer(names: Iterable[str]) -> str:
    escaped = (name.encode("utf-8", "replace").decode().replace("~", "~0").replace("/", "~1") for name in names)
    return "".join(["#", *(f"/{name}" for name in escaped)])
