"""GraphQL over WebSockets: the graphql-transport-ws protocol."""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from contextlib import aclosing
from datetime import timedelta
from enum import IntEnum
from typing import Any, Final

import orjson
import structlog
from starlette.types import Receive, Scope, Send

from core.clock import call_at, utc_now
from core.errors import RateLimitedError, TooManyOperationsError, UnauthenticatedError, UnavailableError
from core.query_runner import current_statements
from core.workload import start_workload
from graph.context import Context, Runtime
from server.graphql.streaming import Streaming
from server.http.authentication import authenticate, client_address, user_agent
from server.http.disconnect import TimeLimit
from server.http.errors import SESSION_OVER, TOKEN_EXPIRED, FormattedError, RefusedError, refuse_for
from server.http.origins import is_allowed_origin
from server.http.protocol import get_abort
from server.http.rate_limit import charge, current_headers
from server.http.request_body import GraphQLRequest, read_parameters
from server.observability.request_log import current_request_id
from services.accounts.caller import Caller

PROTOCOL: Final = "graphql-transport-ws"
_MAX_ID_LENGTH: Final = 200
# A close frame has room for 125 bytes, two of which are the code.
_MAX_REASON_LENGTH: Final = 123
# A client that does not read the close message within this time is disconnected.
CLOSE_TIMEOUT_S: Final = 2.0
# Longer than the server waits for the other half of a closing.
_LINGERING_S: Final = 12.0

_log = structlog.stdlib.get_logger("socket")


class CloseCode(IntEnum):
    """Why a socket is closed; from 4400 on as the protocol numbers it."""

    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_REQUEST = 4400
    UNAUTHORIZED = 4401
    FORBIDDEN = 4403
    SUBPROTOCOL_NOT_ACCEPTABLE = 4406
    INITIALISATION_TIMEOUT = 4408
    SUBSCRIBER_EXISTS = 4409
    TOO_MANY = 4429


class CloseSocketError(Exception):
    """Raised to close the socket with a code and a reason."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def _read_message(message: Any) -> dict[str, Any]:
    try:
        content = orjson.loads(message.get("text") or message.get("bytes") or b"")
    except orjson.JSONDecodeError:
        raise _malformed("it is not valid JSON") from None
    if not isinstance(content, dict) or not isinstance(content.get("type"), str):
        raise _malformed("it is no object with a type")
    if not isinstance(content.get("payload"), dict | None):
        raise _malformed("its payload is no object")
    return content


def _credentials_in(content: dict[str, Any]) -> bytes | None:
    for name, value in (content.get("payload") or {}).items():
        if name.lower() == "authorization":
            if not isinstance(value, str):
                raise CloseSocketError(CloseCode.FORBIDDEN, "The Authorization must be `Bearer` and an access token.")
            return value.encode()
    return None


def _id_in(content: dict[str, Any]) -> str:
    operation_id = content.get("id")
    if not isinstance(operation_id, str) or not 1 <= len(operation_id) <= _MAX_ID_LENGTH:
        raise _malformed(f"its id must be a text of 1 to {_MAX_ID_LENGTH} characters")
    return operation_id


def _close_message(code: CloseCode, reason: str) -> dict[str, Any]:
    fitting = reason.encode()[:_MAX_REASON_LENGTH].decode(errors="ignore")
    return {"type": "websocket.close", "code": code.value, "reason": fitting}


def _text_message(content: dict[str, Any]) -> dict[str, Any]:
    return {"type": "websocket.send", "text": orjson.dumps(content).decode()}


def _error_message(operation_id: str, errors: Sequence[FormattedError]) -> dict[str, Any]:
    return {"type": "error", "id": operation_id, "payload": errors}


def _malformed(reason: str) -> CloseSocketError:
    return CloseSocketError(CloseCode.BAD_REQUEST, f"Invalid message received: {reason}.")


class GraphQLWebSocket:
    """One WebSocket: its messages, operations, token expiry and closing."""

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, streaming: Streaming, cut: Callable[[], None]
    ) -> None:
        self.caller: Caller | None = None
        self._runtime: Runtime = scope["app"].state.runtime
        self._credentials: bytes | None = dict(scope["headers"]).get(b"authorization")
        self._client = client_address(scope), user_agent(scope)
        self._receive = receive
        self._asgi_send = send
        self._cut = cut
        # One message at a time: all waiting senders would write at once when the buffer has room.
        self._send_lock = asyncio.Lock()
        self._streaming = streaming
        self._settings = streaming.settings
        self._id = secrets.token_hex(16)
        self._is_initialised = False
        self._is_present = False
        self._operations: dict[str, asyncio.Task[None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._closing: asyncio.Task[None] | None = None

    async def serve(self) -> None:
        """Answer the messages of a socket that was accepted until it is closed."""
        latest = utc_now() + timedelta(seconds=self._settings.connection_init_timeout_s)
        code, reason = CloseCode.INITIALISATION_TIMEOUT, "Connection initialisation timeout."
        self._timer = call_at(latest, lambda: self._close_soon(code, reason))
        try:
            with self._streaming.metrics.sockets.one_more():
                while (message := await self._receive())["type"] == "websocket.receive":
                    if self._closing is None:
                        await self._answer(message)
        except CloseSocketError as error:
            await self._close(error.code, str(error))
        except Exception:  # noqa: BLE001 - the client may connect again
            _log.exception("socket failed", request_id=self._id)
            await self._close(CloseCode.INTERNAL_ERROR, "Something went wrong on our side.")
        finally:
            if self._timer is not None:
                self._timer.cancel()
            for task in self._operations.values():
                task.cancel()
            if self._is_present:
                self._streaming.connections.remove(self)

    async def _answer(self, message: Any) -> None:
        content = _read_message(message)
        match content["type"]:
            case "connection_init":
                await self._initialise(content)
            case "ping":
                await self._ping(content)
            case "pong":
                pass
            case "subscribe":
                await self._subscribe(content)
            case "complete":
                if (task := self._operations.pop(_id_in(content), None)) is not None:
                    task.cancel()
            case kind:
                raise CloseSocketError(CloseCode.BAD_REQUEST, f"There is no message type {kind[:50]!r}.")

    async def _initialise(self, content: dict[str, Any]) -> None:
        if self._is_initialised:
            raise CloseSocketError(CloseCode.TOO_MANY, "Too many initialisation requests.")
        self._is_initialised = True
        credentials = _credentials_in(content)
        self.caller = await self._authenticate(self._credentials if credentials is None else credentials)
        self._credentials = None
        try:
            self._streaming.connections.add(self)
        except RefusedError as refusal:
            raise CloseSocketError(CloseCode.TOO_MANY, str(refusal)) from None
        self._is_present = True
        self._watch_expiry()
        await self._send({"type": "connection_ack"})

    async def _authenticate(self, credentials: bytes | None) -> Caller | None:
        try:
            return await authenticate(credentials, self._runtime)
        except UnavailableError as error:
            raise CloseSocketError(CloseCode.TRY_AGAIN_LATER, error.message) from None
        except UnauthenticatedError as error:
            await self._charge_refusal()
            raise CloseSocketError(CloseCode.FORBIDDEN, error.message) from None

    async def _charge_refusal(self) -> None:
        try:
            await charge(self._runtime, None, self._client[0])
        except RateLimitedError as error:
            raise CloseSocketError(CloseCode.TRY_AGAIN_LATER, error.message) from None

    async def _ping(self, content: dict[str, Any]) -> None:
        """Answer a ping; a fresh token in it replaces the one that is about to expire."""
        if (credentials := _credentials_in(content)) is not None:
            caller = await self._authenticate(credentials)
            if self.caller is None or caller is None or caller.user_id != self.caller.user_id:
                raise CloseSocketError(CloseCode.FORBIDDEN, "The fresh token is another user's.")
            self.caller = caller
            self._watch_expiry()
        await self._send({"type": "pong"})

    async def _subscribe(self, content: dict[str, Any]) -> None:
        if not self._is_present:
            raise CloseSocketError(CloseCode.UNAUTHORIZED, "Unauthorized: send connection_init first.")
        operation_id = _id_in(content)
        if operation_id in self._operations:
            raise CloseSocketError(CloseCode.SUBSCRIBER_EXISTS, f"Subscriber for {operation_id[:50]} already exists.")
        try:
            request = read_parameters(content.get("payload") or {})
        except RefusedError as refusal:
            raise _malformed(str(refusal)) from None
        limit = self._settings.max_operations_per_socket
        if len(self._operations) < limit:
            self._operations[operation_id] = asyncio.create_task(self._run(operation_id, request))
            return
        message = f"A socket runs at most {limit} operations at once; complete another one first."
        errors = refuse_for(TooManyOperationsError(message, limit=limit)).errors
        await self._send(_error_message(operation_id, errors))

    async def _run(self, operation_id: str, request: GraphQLRequest) -> None:
        """Send the results of an operation one by one; the next is computed when the last is sent."""
        context = Context(self._runtime, self.caller, self._id, *self._client)
        end: dict[str, Any] = {"type": "complete", "id": operation_id}
        try:
            try:
                async with aclosing(self._streaming.results(request, context)) as results:
                    async for result in results:
                        await self._send({"type": "next", "id": operation_id, "payload": result})
            except RefusedError as refusal:
                end = _error_message(operation_id, refusal.errors)
            # The client may use the id again once it receives the end.
            self._operations.pop(operation_id, None)
            await self._send(end)
        except CloseSocketError as error:
            self._close_soon(error.code, str(error))

    async def _send(self, message: dict[str, Any]) -> None:
        try:
            async with self._send_lock:
                with TimeLimit(self._settings.socket_send_timeout_s):
                    await self._asgi_send(_text_message(message))
        except TimeoutError:
            raise CloseSocketError(CloseCode.TRY_AGAIN_LATER, "Read faster; resume by the last cursor.") from None
        except (OSError, RuntimeError):
            # The socket is closed; the receiving loop ends by itself.
            return

    def _watch_expiry(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.caller is not None:
            self._timer = call_at(self.caller.expires_at, lambda: self._end_operations(TOKEN_EXPIRED))

    def end_session(self) -> None:
        """End the operations and the socket: the session is over."""
        self._end_operations(SESSION_OVER)

    def _end_operations(self, error: FormattedError) -> None:
        self._close_soon(CloseCode.FORBIDDEN, error["message"], [error])

    def close_for_newer(self) -> bool:
        """Stay open: a client that does not answer pings is noticed, and one that does would only connect again."""
        return False

    def close_for_shutdown(self) -> None:
        """End the socket: the server stops, and another takes over."""
        self._close_soon(CloseCode.SERVICE_RESTART, "The server restarts; connect again.")

    def _close_soon(self, code: CloseCode, reason: str, errors: list[FormattedError] | None = None) -> None:
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(code, reason, errors))

    async def _close(self, code: CloseCode, reason: str, errors: list[FormattedError] | None = None) -> None:
        running, self._operations = self._operations, {}
        for task in running.values():
            task.cancel()
        _log.info("socket closed", code=code.value, reason=reason, request_id=self._id)
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                for operation_id in running if errors else ():
                    await self._asgi_send(_text_message(_error_message(operation_id, errors or [])))
                await self._asgi_send(_close_message(code, reason))
        except TimeoutError:
            self._cut()
        except (OSError, RuntimeError):
            # The client has closed it first.
            return


async def serve_socket(streaming: Streaming, scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one WebSocket, if its origin and its sub-protocol are allowed."""
    # uvicorn's task may have the context of an earlier request of the connection.
    current_request_id.set(None)
    current_statements.set(None)
    current_headers.set(None)
    start_workload(address=client_address(scope))
    await receive()
    if not is_allowed_origin(scope, streaming.settings):
        # Closed before it is accepted, its handshake is answered with 403.
        await send({"type": "websocket.close"})
        return
    if PROTOCOL not in scope["subprotocols"]:
        await send({"type": "websocket.accept"})
        await send(_close_message(CloseCode.SUBPROTOCOL_NOT_ACCEPTABLE, f"Speak {PROTOCOL}."))
        return
    cut = get_abort(scope)
    try:
        socket = GraphQLWebSocket(scope, receive, send, streaming, cut)
        await send({"type": "websocket.accept", "subprotocol": PROTOCOL})
        # Nobody reads the head any more, and it would be kept as long as the socket is open.
        scope.clear()
        await socket.serve()
    finally:
        # The unsent bytes of a client that does not read would stay in memory.
        asyncio.get_running_loop().call_later(_LINGERING_S, cut)
