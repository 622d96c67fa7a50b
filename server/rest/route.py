"""The route class of REST: authentication, bodies within their bounds, failures as problem details."""

import re
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Final
from urllib.parse import parse_qsl

import structlog
from fastapi import Depends, Security, params
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from fastapi.security import OAuth2PasswordBearer
from pydantic.alias_generators import to_camel
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from core.errors import TasktalkError
from core.settings import Settings
from graph.context import Context, Runtime
from server.http.authentication import open_context
from server.http.errors import RefusedError, masked, refuse
from server.http.headers import get_request_headers
from server.http.rate_limit import CHANGE_COST, charge
from server.http.request_body import MAX_VALUES, are_many, has_no_body, parse_json, read_body, replaying
from server.http.session_cookie import read_session_cookie, set_cookie_headers
from server.observability.request_log import get_request_record
from server.rest import problem
from services.accounts.caller import require_may_write
from services.query.pagination import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE

_FORM: Final = "application/x-www-form-urlencoded"
_MAX_FORM_BYTES: Final = 64 * 1024
_MAX_PARAMETERS: Final = 50
_PAGE_SIZE: Final = re.compile("[0-9]{1,3}")
_CLAUSE: Final = re.compile("[^,;:.]+")
_CLIENT_CLOSED_REQUEST: Final = 499

# The key of the context in the ASGI scope.
_CONTEXT: Final = "tasktalk.context"
_LOGIN: Final = "/api/auth/login"
_REFRESH: Final = "/api/auth/refresh"
# Routes that change something for callers, too, whose address is not verified.
_OPEN_TO_UNVERIFIED: Final = frozenset(
    {"logout", "revoke_session", "request_email_verification", "change_email", "delete_me"}
)

_log = structlog.stdlib.get_logger("rest")


class _SignedIn(OAuth2PasswordBearer):
    """Security scheme of routes that need a caller; anonymous requests are refused before they get here."""

    async def __call__(self, request: Request) -> Context:  # type: ignore[override]
        return await _context(request)


async def _context(request: Request) -> Context:
    context: Context = request.scope[_CONTEXT]
    return context


_SIGNED_IN: Final = _SignedIn(tokenUrl=_LOGIN, scheme_name="Account", description="Sign in with your email address.")
SignedIn = Annotated[Context, Security(_SIGNED_IN)]
Anyone = Annotated[Context, Depends(_context)]


class RestRoute(APIRoute):
    """A route of the REST API, summarised by the first clause of its description."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self.operation_id = self.unique_id = to_camel(self.name)
        clause = _CLAUSE.match(self.description)
        self.summary = clause[0] if clause else None

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler of a request."""
        handle = super().get_route_handler()
        needs_caller = any(each.call is _SIGNED_IN for each in self.dependant.dependencies)
        queries = [each.field_info.annotation for each in self.dependant.query_params]
        is_list = any("limit" in getattr(each, "model_fields", ()) for each in queries)

        async def answer(request: Request) -> Response:
            record = get_request_record(request.scope)
            record.operation = self.name
            try:
                context = await _make_context(request, _cost_of(request, is_list=is_list), needs_caller=needs_caller)
                if needs_caller and request.method != "GET" and self.name not in _OPEN_TO_UNVERIFIED:
                    require_may_write(context.caller)
                response = await handle(await self._read(request))
            except TasktalkError as error:
                response = problem.of_error(error, request)
            except RefusedError as refusal:
                response = problem.of_refusal(refusal)
            except RequestValidationError as error:
                response = problem.of_validation(error)
            except ClientDisconnect:
                response = Response(status_code=_CLIENT_CLOSED_REQUEST)
            except Exception:  # noqa: BLE001 - it is logged, and masked as a problem
                _log.exception("request failed", route=self.name)
                response = problem.of_refusal(masked(record.request_id))
            if (opened := request.scope.get(_CONTEXT)) is not None:
                settings = opened.runtime.settings
                response.raw_headers += set_cookie_headers(opened.cookie, request.scope, settings, _REFRESH)
            response.headers.setdefault("cache-control", "no-store")
            response.headers.setdefault("vary", "Authorization")
            return response

        return answer

    async def _read(self, request: Request) -> Request:
        """Return the request with its body read, where the route takes one."""
        if request.scope["query_string"].count(b"&") >= _MAX_PARAMETERS:
            raise refuse(400, f"The query string has more than {_MAX_PARAMETERS} parameters.")
        if self.body_field is None:
            return request
        settings: Settings = request.app.state.runtime.settings
        headers, max_bytes = get_request_headers(request.scope).values, settings.graphql_max_body_bytes
        if isinstance(self.body_field.field_info, params.Form):
            body = await read_body(headers, request.receive, min(max_bytes, _MAX_FORM_BYTES), _FORM)
            try:
                parse_qsl(body.decode("ascii"), errors="strict", max_num_fields=_MAX_PARAMETERS, keep_blank_values=True)
            except ValueError:
                message = "The form is not valid UTF-8, percent-encoded, or has too many fields."
                raise refuse(400, message) from None
            return _ReadRequest(request, body, None)
        if not self.body_field.field_info.is_required() and has_no_body(headers):
            return _ReadRequest(request, b"", None)
        body = await read_body(headers, request.receive, max_bytes)
        values = parse_json(body) if body else None
        if not isinstance(values, dict):
            raise refuse(400, "The body must be a JSON object." if body else "The body is empty; send a JSON object.")
        if body.count(b",") >= MAX_VALUES and are_many(values):
            raise refuse(400, f"The body has more than {MAX_VALUES} values.")
        return _ReadRequest(request, body, values)


class _ReadRequest(Request):
    """A request whose body has been read: FastAPI reads it once more."""

    def __init__(self, request: Request, body: bytes, values: Any) -> None:
        self._values = values
        super().__init__(request.scope, replaying(body, request.receive))

    async def json(self) -> Any:
        """Return the parsed body."""
        return self._values


async def _make_context(request: Request, cost: int, *, needs_caller: bool) -> Context:
    credentials, record = get_request_headers(request.scope).credentials, get_request_record(request.scope)
    runtime: Runtime = request.app.state.runtime
    context = await open_context(request.scope, runtime, credentials, record.request_id)
    request.scope[_CONTEXT] = context
    record.user_id = context.user_id
    is_refused = needs_caller and context.token_error is not None
    await charge(runtime, context.user_id, context.client_address, 1 if is_refused else cost)
    if needs_caller:
        context.require_caller()
    context.cookie = read_session_cookie(request.scope, runtime.settings)
    return context


def _cost_of(request: Request, *, is_list: bool) -> int:
    """Return what a request costs: a change its price, a read one for itself and one for each row of its page."""
    if request.method != "GET":
        return CHANGE_COST
    if not is_list:
        return 1
    limit = request.query_params.get("limit", str(DEFAULT_PAGE_SIZE))
    # What is no size of a page is refused later, or is a number in another form, such as 0100.
    return 1 + (int(limit) if _PAGE_SIZE.fullmatch(limit) else MAX_PAGE_SIZE)
