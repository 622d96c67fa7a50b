"""What every REST route does around its few lines: who asks, the body within its bounds, failures as problems."""

from collections.abc import Callable, Coroutine
from typing import Any, Final
from urllib.parse import parse_qsl

import structlog
from fastapi import params
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Message

from core.errors import TasktalkError
from graph.context import Context, Runtime
from server.http.errors import RefusedError, refuse
from server.http.request_body import MAX_VALUES, are_many, parse_json, read_body
from server.observability.request_log import get_request_record
from server.rest import problem
from server.rest.caller import CONTEXT, SIGNED_IN, read_caller

_FORM: Final = "application/x-www-form-urlencoded"
_MOST_FORM_BYTES: Final = 64 * 1024
_MOST_PARAMETERS: Final = 50
_CLIENT_CLOSED_REQUEST: Final = 499

_log = structlog.stdlib.get_logger("rest")


class RestRoute(APIRoute):
    """A route of the REST door."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request."""
        handle = super().get_route_handler()
        needs_caller = any(each.call is SIGNED_IN for each in self.dependant.dependencies)

        async def answer(request: Request) -> Response:
            record = get_request_record(request.scope)
            record.operation = self.name
            try:
                await _identify(request, needs_caller=needs_caller)
                response = await handle(await self._read(request))
            except TasktalkError as error:
                response = problem.of_error(error, request)
            except RefusedError as refusal:
                response = problem.of_refusal(refusal)
            except RequestValidationError as error:
                response = problem.of_validation(error)
            except ClientDisconnect:
                response = Response(status_code=_CLIENT_CLOSED_REQUEST)
            except Exception:  # noqa: BLE001 - whatever it is, the client is told in this door's words
                _log.exception("request failed", route=self.name)
                response = problem.of_failure(record.request_id)
            response.headers.setdefault("cache-control", "no-store")
            response.headers.setdefault("vary", "Authorization")
            return response

        return answer

    async def _read(self, request: Request) -> Request:
        """Return the request with its body read, where the route takes one."""
        if request.scope["query_string"].count(b"&") >= _MOST_PARAMETERS:
            raise refuse(400, f"The query string has more than {_MOST_PARAMETERS} parameters.")
        if self.body_field is None:
            return request
        runtime: Runtime = request.app.state.runtime
        headers, most_bytes = dict(request.scope["headers"]), runtime.settings.graphql_max_body_bytes
        if isinstance(self.body_field.field_info, params.Form):
            body = await read_body(headers, request.receive, min(most_bytes, _MOST_FORM_BYTES), _FORM)
            return _ReadRequest(request, _checked_form(body), None)
        body = await read_body(headers, request.receive, most_bytes)
        values = parse_json(body) if body else None
        if not isinstance(values, dict):
            raise refuse(400, "The body must be a JSON object." if body else "The body is empty; send a JSON object.")
        if body.count(b",") >= MAX_VALUES and are_many(values):
            raise refuse(400, f"The body has more than {MAX_VALUES} values.")
        return _ReadRequest(request, body, values)


class _ReadRequest(Request):
    """A request whose body has been read, and is given again to whoever asks."""

    def __init__(self, request: Request, body: bytes, values: Any) -> None:
        self._waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        self._rest = request.receive
        self._values = values
        super().__init__(request.scope, self._receive_again)

    async def _receive_again(self) -> Message:
        return self._waiting.pop() if self._waiting else await self._rest()

    async def json(self) -> Any:
        """Return what the body says."""
        return self._values


async def _identify(request: Request, *, needs_caller: bool) -> None:
    runtime: Runtime = request.app.state.runtime
    record = get_request_record(request.scope)
    caller = await read_caller(request, runtime)
    record.user_id = caller.user_id if caller else None
    address = (request.scope.get("client") or ("",))[0]
    context = request.scope[CONTEXT] = Context(runtime, caller, record.request_id, address)
    if needs_caller:
        context.require_caller()


def _checked_form(body: bytes) -> bytes:
    try:
        parse_qsl(body.decode("ascii"), errors="strict", max_num_fields=_MOST_PARAMETERS, keep_blank_values=True)
    except ValueError:
        raise refuse(400, "The form is not valid UTF-8, percent-encoded, or has too many fields.") from None
    return body
