"""The MCP endpoint: streamable HTTP without sessions, for programs that show a personal access token."""

import asyncio
from typing import TYPE_CHECKING, Any, Final

from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from core.errors import TasktalkError, UnauthenticatedError
from graph.context import Runtime
from server.http.authentication import client_address
from server.http.errors import RefusedError, refuse, refuse_for
from server.http.headers import get_request_headers
from server.http.origins import is_allowed_origin
from server.http.rate_limit import CHANGE_COST, charge
from server.http.request_body import parse_json, read_body, replaying
from server.mcp.authorization import GRANT, authenticate, challenge, required_scope
from server.observability.request_log import get_request_record
from services.accounts.access_tokens import Grant

if TYPE_CHECKING:
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

_SERVER_ERRORS: Final = 500
# Of JSON-RPC.
_INVALID_REQUEST: Final = -32600
_INTERNAL_ERROR: Final = -32603
# The methods that the log may name: any other text is the client's.
_METHODS: Final = frozenset(
    {
        "initialize",
        "ping",
        "prompts/get",
        "prompts/list",
        "resources/list",
        "resources/read",
        "resources/templates/list",
        "server/discover",
        "tools/call",
        "tools/list",
    }
)


class McpEndpoint:
    """ASGI application that authorizes messages, and lets the protocol's SDK answer them."""

    def __init__(self, runtime: Runtime) -> None:
        self._max_body_bytes = runtime.settings.graphql_max_body_bytes
        self._runtime = runtime
        self._running: asyncio.Task[None] | None = None
        self._manager: asyncio.Future[StreamableHTTPSessionManager] | None = None
        self._stopping = asyncio.Event()

    async def close(self) -> None:
        """Stop the SDK's manager."""
        self._stopping.set()
        if self._running is not None:
            await self._running

    async def _get_manager(self) -> "StreamableHTTPSessionManager":
        """Return the SDK's manager; the SDK, half a second and 26 MB, is loaded for the first request."""
        if self._manager is None:
            self._manager = asyncio.get_running_loop().create_future()
            self._running = asyncio.create_task(self._run_manager(self._manager))
        return await asyncio.shield(self._manager)

    async def _run_manager(self, ready: "asyncio.Future[StreamableHTTPSessionManager]") -> None:
        try:
            manager = await asyncio.to_thread(self._load_manager)
        except Exception as error:  # noqa: BLE001 - raised by those that await it
            ready.set_exception(error)
            return
        # In a task of its own: the SDK's task group must end where it began.
        async with manager.run():
            ready.set_result(manager)
            await self._stopping.wait()

    def _load_manager(self) -> "StreamableHTTPSessionManager":
        from mcp.server.streamable_http_manager import StreamableHTTPSessionManager  # noqa: PLC0415 - see _get_manager

        from server.mcp.server import make_server  # noqa: PLC0415 - as above

        # Plain JSON answers: no tool takes long enough to stream.
        return StreamableHTTPSessionManager(
            make_server(self._runtime), json_response=True, stateless=True, max_request_body_size=self._max_body_bytes
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, unless its client has disconnected."""
        try:
            body = await self._admit(scope, receive)
        except RefusedError as refusal:
            await _refused(refusal)(scope, receive, send)
        except ClientDisconnect:
            return
        else:
            manager = await self._get_manager()
            await manager.handle_request(scope, replaying(body, receive), send)

    async def _admit(self, scope: Scope, receive: Receive) -> bytes:
        """Return the body of an authorized request."""
        if not is_allowed_origin(scope, self._runtime.settings):
            raise refuse(403, "Pages of this origin may not call; name it in ALLOWED_ORIGINS.", code="FORBIDDEN")
        if scope["method"] != "POST":
            raise refuse(405, "Send messages by POST; there is no stream to GET.", headers=((b"allow", b"POST"),))
        headers = get_request_headers(scope).values
        try:
            grant = await self._authenticate(scope, headers.get(b"authorization"))
        except UnauthenticatedError as error:
            # A request without a token has no invalid one.
            reason = "invalid_token" if b"authorization" in headers else None
            header = (b"www-authenticate", challenge(scope, reason))
            raise refuse(401, error.message, code=error.code, headers=(header,)) from None
        except TasktalkError as error:
            raise refuse_for(error) from None
        scope[GRANT] = grant
        get_request_record(scope).user_id = grant.caller.user_id
        body = await read_body(headers, receive, self._max_body_bytes)
        message = _read_message(body)
        if message["method"] in _METHODS:
            get_request_record(scope).operation = message["method"]
        _check_scope(scope, grant, message)
        return body

    async def _authenticate(self, scope: Scope, credentials: bytes | None) -> Grant:
        """Return what a token grants, its message counted; a stranger pays for what is refused."""
        try:
            needs_verified = self._runtime.settings.require_verified_email
            grant = await authenticate(credentials, self._runtime.database, needs_verified=needs_verified)
        except UnauthenticatedError:
            await charge(self._runtime, None, client_address(scope))
            raise
        await charge(self._runtime, grant.caller.user_id, client_address(scope), CHANGE_COST)
        return grant


def _read_message(body: bytes) -> dict[str, Any]:
    message = parse_json(body)
    if not isinstance(message, dict):
        raise refuse(400, "The body must be one JSON-RPC message; send each as a request of its own.")
    if not isinstance(message.get("method"), str):
        raise refuse(400, "`method` must be a string; nothing is asked here that a client could answer.")
    # The SDK would take a request with such an id for a notification, and leave it without an answer.
    if type(message.get("id", 0)) not in (int, str):
        raise refuse(400, "`id` must be a string or a whole number.")
    if not isinstance(message.get("params", {}), dict):
        raise refuse(400, "`params` must be an object.")
    return message


def _check_scope(scope: Scope, grant: Grant, message: dict[str, Any]) -> None:
    required = required_scope(message["method"], message.get("params"))
    if required is not None and required not in grant.scopes:
        header = (b"www-authenticate", challenge(scope, "insufficient_scope", required))
        raise refuse(403, f"The access token lacks the scope {required}.", code="FORBIDDEN", headers=(header,))


def _refused(refusal: RefusedError) -> JSONResponse:
    """Return a JSON-RPC error without an id, with our own code beside the protocol's."""
    (error,) = refusal.errors
    code = _INTERNAL_ERROR if refusal.status >= _SERVER_ERRORS else _INVALID_REQUEST
    content = {"code": code, "message": error["message"], "data": error["extensions"]}
    response = JSONResponse({"jsonrpc": "2.0", "id": None, "error": content}, refusal.status)
    response.raw_headers.extend(refusal.headers)
    return response
