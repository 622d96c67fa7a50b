"""How the description of the API tells of responses: problems, and headers that matter."""

from typing import Any, Final

from server.rest.problem import Problem

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
_EVERYWHERE: Final = (400, 422, 500, 503)
_WITH_BODY: Final = (408, 413, 415)
_ETAG: Final = {"description": "The revision, to be sent as If-Match.", "schema": {"type": "string"}}
_LOCATION: Final = {"description": "Where it is to be found.", "schema": {"type": "string"}}

Responses = dict[int | str, dict[str, Any]]


def problems(*statuses: int, body: bool = False) -> Responses:
    """Describe the failures of a route: those of every route, those of one that takes a body, and its own."""
    all_of_them = sorted({*_EVERYWHERE, *(_WITH_BODY if body else ()), *statuses})
    return {status: {"model": Problem, "description": _MEANINGS[status]} for status in all_of_them}


def stamped(status: int, *, location: bool = False) -> Responses:
    """Describe the headers of a success that shows one row."""
    return {status: {"headers": {"ETag": _ETAG} | ({"Location": _LOCATION} if location else {})}}
